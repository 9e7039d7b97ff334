// SPDX-License-Identifier: MIT
// `evlb run`: load the configuration, then be the supervisor until told to stop. In the foreground,
// always: who starts it (a shell, systemd, a container) keeps it.
//
// Children write their titles over argv, so everything that they need of the command line is
// copied first.
#include "cli/source.h"
#include "process/certificates.h"
#include "process/inherited.h"
#include "process/supervisor.h"

// What the command line says overrides the file, also when it is read again; the environment does
// not override a file that the command line names.
static void apply_flags(const void *ctx, struct config *config)
{
    const struct cli *cli = ctx;
    bool named = cli->value[FLAG_CONFIG] != NULL;
    const char *socket = cli_socket(cli, named ? config->admin_socket : STR_NONE);
    if (socket != NULL)
        config->admin_socket = arena_str(config->arena, str_of(socket));
    if (cli->given[FLAG_VERBOSE] > 0)
        config->log_level = LOG_DEBUG;
    else if (cli->given[FLAG_QUIET] > 0)
        config->log_level = LOG_WARNING;
}

static int load_and_serve(const struct cli *cli, struct arena *arena, struct str inherited)
{
    struct config_source source;
    int status = cli_source(cli, arena, &source);
    if (status != EXIT_OK)
        return status;
    source.overlay = inherited_overlay(inherited, arena);
    struct findings findings;
    findings_init(&findings);
    struct bundle *recording = bundle_new();
    const struct config_source recorded = bundle_record(recording, &source);
    struct config *config = certificates_load(&recorded, &findings);
    findings_print(&findings, stderr, FINDINGS_TEXT, cli_colour(stderr));
    findings_free(&findings);
    if (config == NULL) {
        bundle_free(recording);
        return EXIT_CONFIG_INVALID;
    }
    apply_flags(cli, config);
    const struct supervisor_options options = {.config = config,
                                               .recording = recording,
                                               .argc = cli->argc,
                                               .argv = cli->argv,
                                               .source = &source,
                                               .adjust = apply_flags,
                                               .adjust_ctx = cli,
                                               .inherited = inherited};
    return supervisor_run(&options);
}

int cmd_run(const struct cli *cli)
{
    struct arena *arena = arena_new();
    int status = load_and_serve(cli, arena, inherited_read());
    arena_free(arena);
    return status;
}
