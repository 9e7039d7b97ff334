# SPDX-License-Identifier: MIT
# The libraries from outside, each as one target.
find_package(OpenSSL 3.0 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)

# libev ships no .pc file in Debian.
find_path(EV_INCLUDE_DIR ev.h REQUIRED)
find_library(EV_LIBRARY ev REQUIRED)
add_library(libev INTERFACE)
target_include_directories(libev SYSTEM INTERFACE ${EV_INCLUDE_DIR})
target_link_libraries(libev INTERFACE ${EV_LIBRARY})
