# SPDX-License-Identifier: MIT
# The flags that every line of C here is compiled with.
add_compile_definitions(_GNU_SOURCE EVLB_VERSION="${PROJECT_VERSION}")
add_compile_options(
    -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wvla -Wundef -Wcast-qual -Wwrite-strings -Wpointer-arith -Wformat=2
    -Wswitch-enum -Wimplicit-fallthrough -Wnull-dereference -fno-common)
if(EVLB_WERROR)
    add_compile_options(-Werror)
endif()
