# lmoe_library(NAME room SRCS a.cpp … DEPS room… LIBS target…)   a room: target lmoe_<room>, alias lmoe::<room>
# lmoe_torch_pch(room)                                           one precompiled header for a Torch-heavy room
# lmoe_test(NAME name SRCS … DEPS room… LABELS unit|parity|e2e|slow)
#
# DEPS are rooms, LIBS are foreign targets. tests/architecture checks DEPS and every #include against src/rooms.txt.

function(lmoe_library)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS;LIBS" ${ARGN})
  set(target lmoe_${ARG_NAME})
  set(deps ${ARG_DEPS})
  list(TRANSFORM deps PREPEND lmoe_)
  if(ARG_SRCS)
    add_library(${target} STATIC ${ARG_SRCS})
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${target} PUBLIC ${deps} ${ARG_LIBS} PRIVATE lmoe_flags)
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${target} INTERFACE ${deps} ${ARG_LIBS})
  endif()
  add_library(lmoe::${ARG_NAME} ALIAS ${target})
endfunction()

function(lmoe_torch_pch room)
  target_precompile_headers(lmoe_${room} PRIVATE <ATen/ATen.h> <torch/csrc/autograd/custom_function.h>
                            <map> <memory> <optional> <span> <string> <vector>)
endfunction()

# Builds the tests labelled `unit` and not `torch`, which is what runs under the sanitizers: the left wing reads what
# strangers wrote. Tests of rooms that stand on LibTorch get the label `torch` by themselves.
add_custom_target(lmoe_unit_tests)
set(LMOE_TORCH_ROOMS distributed mixture models nn runner train)

function(lmoe_test)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS;LIBS;LABELS" ${ARGN})
  set(target ${ARG_NAME})
  set(deps ${ARG_DEPS})
  list(TRANSFORM deps PREPEND lmoe_)
  foreach(room ${ARG_DEPS})
    if(room IN_LIST LMOE_TORCH_ROOMS)
      list(APPEND ARG_LABELS torch)
      break()
    endif()
  endforeach()
  add_executable(${target} ${ARG_SRCS})
  target_link_libraries(${target} PRIVATE ${deps} ${ARG_LIBS} lmoe_flags GTest::gtest GTest::gmock GTest::gtest_main)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_compile_definitions(${target} PRIVATE
    LMOE_FIXTURES="${CMAKE_SOURCE_DIR}/tests/fixtures" LMOE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  if("unit" IN_LIST ARG_LABELS AND NOT "torch" IN_LIST ARG_LABELS)
    add_dependencies(lmoe_unit_tests ${target})
  endif()
  add_test(NAME ${target} COMMAND ${target})
  set_tests_properties(${target} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 600
                       # Threads that wait must not burn the cores of the test beside.
                       ENVIRONMENT "OMP_WAIT_POLICY=passive")
endfunction()
