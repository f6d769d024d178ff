// Functions of libraries that are looked for when the program runs: those of a GPU's driver.
#pragma once

#include <dlfcn.h>

namespace induct::engine {

// Sets `function` to that of the name in a library that dlopen gave; false where it has none.
template <typename Function>
bool FindFunction(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

}  // namespace induct::engine
