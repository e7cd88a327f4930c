# The dashboard as one C++ file, built through npm from its lock file when something of it has changed.
option(EGRET_DASHBOARD "Build the regional dashboard; without it the program has the plain page alone" ON)
find_program(EGRET_NPM npm)
find_program(EGRET_NODE node)
set(dashboard_cpp ${CMAKE_BINARY_DIR}/generated/cloud/dashboard_assets.cpp)
file(GLOB dashboard_files CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.json ${CMAKE_CURRENT_LIST_DIR}/*.mjs ${CMAKE_CURRENT_LIST_DIR}/src/*)
add_custom_command(
  OUTPUT ${dashboard_cpp}
  COMMAND ${CMAKE_COMMAND} -DFROM=${CMAKE_CURRENT_LIST_DIR} -DIN=${CMAKE_BINARY_DIR}/dashboard -DOUT=${dashboard_cpp}
          "-DNPM=$<IF:$<BOOL:${EGRET_DASHBOARD}>,${EGRET_NPM},>" -DNODE=${EGRET_NODE} -P ${CMAKE_CURRENT_LIST_DIR}/build.cmake
  DEPENDS ${dashboard_files} ${CMAKE_CURRENT_LIST_DIR}/build.cmake
  COMMENT "Building the dashboard"
  VERBATIM)
