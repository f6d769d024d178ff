# induct_libtorch: LibTorch as it lies in a PyPI wheel, the folder that holds include/ and lib/.
#
# TorchConfig.cmake is not used: a CUDA build of it wants the CUDA toolkit at configure time and adds flags to every target.
# The wheel is built with the C++11 ABI, GCC's default, so no ABI flag is needed.
if(NOT TORCH_DIR)
  if(DEFINED ENV{TORCH_DIR})
    set(TORCH_DIR $ENV{TORCH_DIR})
  elseif(DEFINED ENV{XDG_CACHE_HOME})
    set(TORCH_DIR $ENV{XDG_CACHE_HOME}/induct/libtorch-2.13.0/torch)
  else()
    set(TORCH_DIR $ENV{HOME}/.cache/induct/libtorch-2.13.0/torch)
  endif()
endif()
set(TORCH_DIR ${TORCH_DIR} CACHE PATH "LibTorch: the folder with include/ and lib/")
if(NOT EXISTS ${TORCH_DIR}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "No LibTorch in '${TORCH_DIR}': run deploy/install.sh, or set TORCH_DIR to a folder that holds "
                      "LibTorch's include/ and lib/.")
endif()

add_library(induct_libtorch INTERFACE)
target_include_directories(induct_libtorch SYSTEM INTERFACE ${TORCH_DIR}/include)
target_link_options(induct_libtorch INTERFACE LINKER:--no-as-needed)  # CUDA kernels register themselves when loaded
# Before LibTorch, which exports a std::filesystem of an older library: where that came first, newer systems would crash in it.
target_link_libraries(induct_libtorch INTERFACE stdc++)
# Not libtorch.so, which holds nothing and wants CUDA's libraries in a CUDA build: deploy/install.sh keeps its part for the CPU alone where no GPU is.
foreach(library torch_cpu c10 torch_cuda c10_cuda)
  if(EXISTS ${TORCH_DIR}/lib/lib${library}.so)
    add_library(imported_${library} SHARED IMPORTED GLOBAL)
    set_target_properties(imported_${library} PROPERTIES IMPORTED_LOCATION ${TORCH_DIR}/lib/lib${library}.so)
    target_link_libraries(induct_libtorch INTERFACE imported_${library})
  endif()
endforeach()
# OpenMP for loops of ours, in the runtime that LibTorch brings: with another one they would have threads beside LibTorch's. It is GCC's; what Clang
# compiles wants its own, so there such loops run on one thread.
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  find_package(OpenMP REQUIRED)
  file(GLOB openmp_runtime ${TORCH_DIR}/lib/libgomp*)
  target_link_libraries(induct_libtorch INTERFACE $<IF:$<BOOL:${openmp_runtime}>,${openmp_runtime},OpenMP::OpenMP_CXX>)
endif()
