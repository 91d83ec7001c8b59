# Compiles the policy editions of `directory` into `target`, so that nothing has to be found at run time. The generated
# file is rewritten when an edition is edited, added or removed, and only then.
function(smets1kms_embed_editions target directory)
  file(GLOB editions CONFIGURE_DEPENDS ${directory}/*.toml)
  list(SORT editions)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${editions})
  set(entries "")
  foreach(edition IN LISTS editions)
    get_filename_component(name ${edition} NAME)
    file(READ ${edition} text)
    string(APPEND entries "    {\"${name}\", R\"edition(${text})edition\"},\n")
  endforeach()
  string(CONCAT source
    "// Generated from hsm-config/policy by editions.cmake.\n#include \"policy/edition.hpp\"\n\n"
    "namespace smets1kms::policy {\nnamespace {\n\n"
    "constexpr std::pair<std::string_view, std::string_view> texts[] = {\n${entries}};\n\n}  // namespace\n\n"
    "std::span<const std::pair<std::string_view, std::string_view>> shipped_edition_texts() { return texts; }\n\n"
    "}  // namespace smets1kms::policy\n")
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/shipped_editions.cpp)
  set(before "")
  if(EXISTS ${generated})
    file(READ ${generated} before)
  endif()
  if(NOT before STREQUAL source)
    file(WRITE ${generated} "${source}")
  endif()
  target_sources(${target} PRIVATE ${generated})
endfunction()
