# What `cmake --install` puts where: programs, units, users, examples, documents. For a system: --prefix /usr, as root,
# then systemd-sysusers. Nothing below /etc is touched: `egret-agent init` and `egret-cloud init` write what belongs there.
include(GNUInstallDirs)

install(TARGETS egret-agent egret-cloud RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# The units name the programs and documents where this installation has them.
foreach(unit egret-agent.service egret-agent@.service egret-cloud.service)
  set(source ${CMAKE_CURRENT_LIST_DIR}/systemd/${unit})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(READ ${source} text)
  string(REPLACE "/usr/bin/" "${CMAKE_INSTALL_FULL_BINDIR}/" text "${text}")
  string(REPLACE "/usr/share/doc/egret/" "${CMAKE_INSTALL_FULL_DATADIR}/doc/egret/" text "${text}")
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/systemd/${unit} CONTENT "${text}" @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/systemd/${unit} DESTINATION lib/systemd/system)
endforeach()
install(FILES ${CMAKE_CURRENT_LIST_DIR}/systemd/egret.sysusers.conf DESTINATION lib/sysusers.d RENAME egret.conf)

set(docs ${CMAKE_INSTALL_DATADIR}/doc/egret)
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${docs})
install(DIRECTORY schemas/ DESTINATION ${docs}/schemas FILES_MATCHING PATTERN "*.proto" PATTERN "*.md" PATTERN "*.json")
install(DIRECTORY ${CMAKE_CURRENT_LIST_DIR}/examples ${CMAKE_CURRENT_LIST_DIR}/mosquitto DESTINATION ${docs}
        USE_SOURCE_PERMISSIONS)
