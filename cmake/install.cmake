# What `ninja install` installs: the tools, the headers that a plug-in and the
# runtime's users include, a CMake package (dnncConfig.cmake.in says how it is
# used), a pkg-config file, man pages and completions of shells.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS dnnc dnnc-opt dnnc-run RUNTIME DESTINATION
  ${CMAKE_INSTALL_BINDIR})
# LLVM may be where the loader does not look.
set_target_properties(dnnc dnnc-opt dnnc-run PROPERTIES
  INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS dnn_parallel ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

foreach(folder ir passes runtime)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/${folder}
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dnnc
    FILES_MATCHING PATTERN "*.h" PATTERN "*.def" PATTERN "soft_fp.h" EXCLUDE)
endforeach()

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/dnnc)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/dnncConfig.cmake.in
  ${CMAKE_BINARY_DIR}/generated/dnncConfig.cmake INSTALL_DESTINATION ${package}
  PATH_VARS CMAKE_INSTALL_BINDIR CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(
  ${CMAKE_BINARY_DIR}/generated/dnncConfigVersion.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${CMAKE_BINARY_DIR}/generated/dnncConfig.cmake
  ${CMAKE_BINARY_DIR}/generated/dnncConfigVersion.cmake DESTINATION ${package})
# Relative to the file, so that it holds for any prefix.
file(RELATIVE_PATH up /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
string(REGEX REPLACE "/$" "" up ${up})
configure_file(${CMAKE_CURRENT_LIST_DIR}/dnnc.pc.in
  ${CMAKE_BINARY_DIR}/generated/dnnc.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/generated/dnnc.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# Made from the table of options.
add_executable(manual ${CMAKE_SOURCE_DIR}/tools/manual.c)
target_link_libraries(manual PRIVATE tools)
set_target_properties(manual PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/generated)
set(pages)
function(manual_page KIND TOOL PATH FOLDER NAME)
  set(page ${CMAKE_BINARY_DIR}/share/${PATH})
  get_filename_component(at ${page} DIRECTORY)
  add_custom_command(OUTPUT ${page}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${at}
    COMMAND manual ${KIND} ${TOOL} > ${page} DEPENDS manual)
  install(FILES ${page} DESTINATION ${FOLDER} RENAME ${NAME})
  set(pages ${pages} ${page} PARENT_SCOPE)
endfunction()
set(share ${CMAKE_INSTALL_DATADIR})
foreach(tool dnnc dnnc-opt dnnc-run)
  manual_page(man ${tool} man/${tool}.1 ${CMAKE_INSTALL_MANDIR}/man1 ${tool}.1)
  manual_page(bash ${tool} bash/${tool} ${share}/bash-completion/completions
    ${tool})
  manual_page(zsh ${tool} zsh/_${tool} ${share}/zsh/site-functions _${tool})
  manual_page(fish ${tool} fish/${tool}.fish ${share}/fish/vendor_completions.d
    ${tool}.fish)
endforeach()
add_custom_target(manuals ALL DEPENDS ${pages})
