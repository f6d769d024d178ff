# page_parts: what pages are made with (Vega's scripts and licences, page.css, page*.js), embedded into the client.
if(NOT INDUCT_VEGA_DIR)
  if(DEFINED ENV{XDG_CACHE_HOME})
    set(INDUCT_VEGA_DIR $ENV{XDG_CACHE_HOME}/induct/vega-6.4.0)
  else()
    set(INDUCT_VEGA_DIR $ENV{HOME}/.cache/induct/vega-6.4.0)
  endif()
endif()
set(INDUCT_VEGA_DIR ${INDUCT_VEGA_DIR} CACHE PATH "Vega: the folder of scripts and licences that deploy/install.sh makes")
if(NOT EXISTS ${INDUCT_VEGA_DIR}/ready)
  message(FATAL_ERROR "No Vega in '${INDUCT_VEGA_DIR}': run deploy/install.sh, or set INDUCT_VEGA_DIR to a folder made by it.")
endif()

set(report_dir ${CMAKE_CURRENT_LIST_DIR})
set(page_parts
  kPageStyle=${report_dir}/page.css
  kPageScript=${report_dir}/page_text.js
  kPageScript=${report_dir}/page_heatmaps.js
  kPageScript=${report_dir}/page_curves.js
  kPageScript=${report_dir}/page_comparisons.js
  kPageScript=${report_dir}/page.js
  kVega=${INDUCT_VEGA_DIR}/vega.min.js
  kVegaLite=${INDUCT_VEGA_DIR}/vega-lite.min.js
  kVegaInterpreter=${INDUCT_VEGA_DIR}/vega-interpreter.js
  kVegaLicence=${INDUCT_VEGA_DIR}/vega.LICENSE
  kVegaLiteLicence=${INDUCT_VEGA_DIR}/vega-lite.LICENSE
  kVegaInterpreterLicence=${INDUCT_VEGA_DIR}/vega-interpreter.LICENSE)
list(TRANSFORM page_parts REPLACE "^[^=]*=" "" OUTPUT_VARIABLE page_files)
set(page_parts_source ${CMAKE_CURRENT_BINARY_DIR}/report/page_parts.cc)
add_custom_command(
  OUTPUT ${page_parts_source}
  COMMAND ${CMAKE_COMMAND} "-DOUTPUT=${page_parts_source}" "-DPARTS=${page_parts}" -P ${report_dir}/embed.cmake
  DEPENDS ${page_files} ${report_dir}/embed.cmake
  COMMENT "Embedding what report pages are made with"
  VERBATIM)
