# cmake -DOUTPUT=FILE.cc "-DPARTS=NAME=FILE;..." -P embed.cmake: each NAME of client/report/page_parts.h as the text of its
# file, or of its files, one after another.
cmake_minimum_required(VERSION 3.22)
set(names)
foreach(part IN LISTS PARTS)
  string(REGEX MATCH "^([^=]*)=(.*)$" matched "${part}")
  set(name ${CMAKE_MATCH_1})
  file(READ "${CMAKE_MATCH_2}" text)
  # A page has no file beside it for a debugger to look for.
  string(REGEX REPLACE "\n//# sourceMappingURL=[^\n]*" "" text "${text}")
  if(NOT name IN_LIST names)
    list(APPEND names ${name})
    set(text_of_${name} "")
  endif()
  string(APPEND text_of_${name} "${text}")
endforeach()

# vega-interpreter 2 is an ES module only, which nothing in a page can import: its one import becomes a look at Vega's own
# script, its one export a member of Vega, as the script that version 1 had did.
function(replace_once variable from to)
  string(FIND "${${variable}}" "${from}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "vega-interpreter no longer holds '${from}'; see embed.cmake")
  endif()
  string(REPLACE "${from}" "${to}" text "${${variable}}")
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()
set(imports "{ ascending, isString, DisallowedObjectProperties }")
replace_once(text_of_kVegaInterpreter "import ${imports} from 'vega-util';" "(() => {\nconst ${imports} = vega;")
replace_once(text_of_kVegaInterpreter "export { expression as expressionInterpreter };"
             "vega.expressionInterpreter = expression;\n})();")

set(source "#include \"client/report/page_parts.h\"\n\nnamespace induct::client {\n")
foreach(name IN LISTS names)
  string(APPEND source "\nconst std::string_view ${name} = R\"induct_part(${text_of_${name}})induct_part\";\n")
endforeach()
string(APPEND source "\n}  // namespace induct::client\n")
file(WRITE "${OUTPUT}" "${source}")
