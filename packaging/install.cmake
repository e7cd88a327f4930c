# What `cmake --install` puts where: programs, units, users, folders, examples, documents. For a system: --prefix /usr, as
# root, then systemd-sysusers and systemd-tmpfiles --create. Nothing below /etc is touched: `egret-agent init` and
# `egret-cloud init` write what belongs there.
include(GNUInstallDirs)

install(TARGETS egret-agent egret-cloud RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(PROGRAMS packaging/postgres-backup DESTINATION ${CMAKE_INSTALL_BINDIR} RENAME egret-postgres-backup)

# The units name the programs and documents where this installation puts them: known only now, for --prefix may say.
set(systemd ${CMAKE_CURRENT_LIST_DIR}/systemd)
install(CODE "
  foreach(unit egret-agent.service egret-agent@.service egret-cloud.service)
    file(READ \"${systemd}/\${unit}\" text)
    string(REPLACE \"/usr/bin/\" \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/\" text \"\${text}\")
    string(REPLACE \"/usr/share/\" \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATAROOTDIR}/\" text \"\${text}\")
    file(WRITE \"${CMAKE_BINARY_DIR}/systemd/\${unit}\" \"\${text}\")
    file(INSTALL DESTINATION \"\${CMAKE_INSTALL_PREFIX}/lib/systemd/system\" TYPE FILE
         FILES \"${CMAKE_BINARY_DIR}/systemd/\${unit}\")
  endforeach()")
install(FILES ${systemd}/egret.sysusers.conf DESTINATION lib/sysusers.d RENAME egret.conf)
install(FILES ${systemd}/egret.tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME egret.conf)

set(docs ${CMAKE_INSTALL_DATADIR}/doc/egret)
install(FILES README.md CHANGELOG.md LICENSE packaging/INSTALL.md packaging/scale-out.md DESTINATION ${docs})
install(DIRECTORY schemas/ DESTINATION ${docs}/schemas FILES_MATCHING PATTERN "*.proto" PATTERN "*.md" PATTERN "*.json")
install(DIRECTORY ${CMAKE_CURRENT_LIST_DIR}/examples ${CMAKE_CURRENT_LIST_DIR}/mosquitto ${CMAKE_CURRENT_LIST_DIR}/parquet
        ${CMAKE_CURRENT_LIST_DIR}/prometheus ${CMAKE_CURRENT_LIST_DIR}/grafana DESTINATION ${docs}
        USE_SOURCE_PERMISSIONS)
