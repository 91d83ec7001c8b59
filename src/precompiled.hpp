// SPDX-License-Identifier: Apache-2.0
/// @file
/// The standard headers that most sources include, parsed once a build (precompiled). Every source
/// still includes what it uses: without this file all compiles as well, more slowly.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>
