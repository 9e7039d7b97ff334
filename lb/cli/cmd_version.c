// SPDX-License-Identifier: MIT
// `evlb version`: what this binary is, how it was built and with which libraries, as one wants to
// know in a bug report (cf. `haproxy -vv`). The one place outside io/ and conf/ that includes the
// headers of the libraries: for their version macros and functions alone.
#include <ev.h>
#include <sys/utsname.h>
#include <yaml.h>

#include "base/buf.h"
#include "cli/json_out.h"
#include "cli/source.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZER "address"
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZER "address"
#endif
#endif
#ifndef SANITIZER
#define SANITIZER ""
#endif

#define LIBRARY_COUNT 2

struct library {
    const char *name;
    char running[32], built[32]; // versions
};

static void read_libraries(struct library lib[LIBRARY_COUNT])
{
    lib[0].name = "libev";
    (void)snprintf(lib[0].running, sizeof(lib[0].running), "%d.%d", ev_version_major(),
                   ev_version_minor());
    (void)snprintf(lib[0].built, sizeof(lib[0].built), "%d.%d", EV_VERSION_MAJOR, EV_VERSION_MINOR);
    lib[1].name = "libyaml";
    (void)str_copy(str_of(yaml_get_version_string()), lib[1].running, sizeof(lib[1].running));
    (void)str_copy(str_of(lib[1].running), lib[1].built, sizeof(lib[1].built)); // not recorded
}

static int print_json(const struct library lib[LIBRARY_COUNT], const struct utsname *os)
{
    struct buf out = {0};
    struct json j = {.out = &out};
    json_object(&j, NULL);
    json_text(&j, "version", STR(EVLB_VERSION));
    json_text(&j, "compiler", STR(COMPILER));
    json_text(&j, "sanitizer", STR(SANITIZER));
    json_text(&j, "system", str_of(os->sysname));
    json_text(&j, "kernel", str_of(os->release));
    json_text(&j, "machine", str_of(os->machine));
    json_object(&j, "libraries");
    for (size_t i = 0; i < LIBRARY_COUNT; i++)
        json_text(&j, lib[i].name, str_of(lib[i].running));
    json_object_end(&j);
    json_object_end(&j);
    return json_print(&j);
}

static int print_text(const struct library lib[LIBRARY_COUNT], const struct utsname *os)
{
    printf("evlb %s\n", EVLB_VERSION);
    printf("  compiler  %s%s\n", COMPILER,
           SANITIZER[0] != '\0' ? " with the address sanitizer" : "");
    printf("  system    %s %s %s\n", os->sysname, os->release, os->machine);
    for (size_t i = 0; i < LIBRARY_COUNT; i++) {
        printf("  %-9s %s", lib[i].name, lib[i].running);
        if (strcmp(lib[i].running, lib[i].built) != 0)
            printf(" (built with %s)", lib[i].built);
        printf("\n");
    }
    return EXIT_OK;
}

int cmd_version(const struct cli *cli)
{
    struct library libraries[LIBRARY_COUNT];
    struct utsname os;
    read_libraries(libraries);
    if (uname(&os) != 0)
        memset(&os, 0, sizeof(os));
    return cli_wants_json(cli) ? print_json(libraries, &os) : print_text(libraries, &os);
}
