# Compiler flags, ccache, linker and sanitizers: everything that is the same for all targets.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # Precompiled headers need these two to be cached at all.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE_PROGRAM})
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

add_library(lmoe_flags INTERFACE)
target_compile_options(lmoe_flags INTERFACE -Wall -Wextra -Werror -Wshadow -Wno-missing-field-initializers
                       -Wno-restrict)  # GCC 12 reports string concatenation falsely (GCC bug 105651)
if(LMOE_ASSERTIONS)
  target_compile_definitions(lmoe_flags INTERFACE LMOE_ASSERTIONS=1)
endif()
if(LMOE_SANITIZE)
  # GCC 12's instrumented code makes this warning report values that are set on every path.
  target_compile_options(lmoe_flags INTERFACE -Wno-maybe-uninitialized)
  add_compile_options(-fsanitize=${LMOE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${LMOE_SANITIZE})
endif()
