// SPDX-License-Identifier: Apache-2.0
#include "real_module.hpp"

#include <dlfcn.h>

#include <stdexcept>

namespace shim {

CK_FUNCTION_LIST* load_real_module(const std::string& path) {
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) throw std::runtime_error(std::string("SHIM_MODULE: ") + ::dlerror());
  const auto get_list =
      reinterpret_cast<CK_C_GetFunctionList>(::dlsym(handle, "C_GetFunctionList"));
  if (get_list == nullptr)
    throw std::runtime_error("SHIM_MODULE: " + path + " has no C_GetFunctionList");
  if (get_list == &C_GetFunctionList)
    throw std::runtime_error("SHIM_MODULE: " + path + " is this shim");
  CK_FUNCTION_LIST* list = nullptr;
  const CK_RV rv = get_list(&list);
  if (rv != CKR_OK || list == nullptr)
    throw std::runtime_error("SHIM_MODULE: " + path + " gives no function list");
  return list;
}

}  // namespace shim
