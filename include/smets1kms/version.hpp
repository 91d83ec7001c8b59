// SPDX-License-Identifier: Apache-2.0
/// @file
#pragma once
#define SMETS1KMS_VERSION "0.1.0"
