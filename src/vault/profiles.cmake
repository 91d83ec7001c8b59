# Compiles the token profiles of `directory` into `target`, so that no installation can lose them. The generated file
# is rewritten when a profile is edited, added or removed, and only then.
function(smets1kms_embed_profiles target directory)
  file(GLOB profiles CONFIGURE_DEPENDS ${directory}/*.toml)
  list(SORT profiles)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${profiles})
  set(entries "")
  foreach(profile IN LISTS profiles)
    get_filename_component(name ${profile} NAME)
    file(READ ${profile} text)
    string(APPEND entries "    {\"${name}\", R\"profile(${text})profile\"},\n")
  endforeach()
  string(CONCAT source
    "// Generated from hsm-config/profiles by profiles.cmake.\n#include \"vault/shipped_profiles.hpp\"\n\n"
    "namespace smets1kms::vault {\nnamespace {\n\n"
    "constexpr std::pair<std::string_view, std::string_view> texts[] = {\n${entries}};\n\n}  // namespace\n\n"
    "std::span<const std::pair<std::string_view, std::string_view>> shipped_profile_texts() { return texts; }\n\n"
    "}  // namespace smets1kms::vault\n")
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/shipped_profiles.cpp)
  set(before "")
  if(EXISTS ${generated})
    file(READ ${generated} before)
  endif()
  if(NOT before STREQUAL source)
    file(WRITE ${generated} "${source}")
  endif()
  target_sources(${target} PRIVATE ${generated})
endfunction()
