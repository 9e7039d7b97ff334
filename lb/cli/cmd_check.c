// SPDX-License-Identifier: MIT
// `evlb check`: everything that is wrong with a configuration, in one run. Reads files and the
// environment, opens no sockets and no logs, so it is safe beside a running evlb. The findings are
// the product of this command: they go to standard output.
#include "cli/source.h"
#include "process/certificates.h"

// A file that could not be read at all is not the same as one that is wrong. It has no line to
// point to, unlike an `include` that leads nowhere.
static bool unreadable(const struct findings *f)
{
    for (size_t i = 0; i < f->count; i++) {
        if (strcmp(f->items[i].id, "config.include") == 0 && f->items[i].line == 0)
            return true;
    }
    return false;
}

static int exit_status(const struct findings *f, bool valid, bool strict)
{
    if (!valid)
        return unreadable(f) ? EXIT_USAGE : EXIT_FAILED;
    return strict && f->warnings > 0 ? EXIT_WARNINGS : EXIT_OK;
}

// A name with several addresses is one server to its author.
static uint32_t count_servers(const struct config *c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_servers; i++)
        n += c->servers[i].place == 0;
    return n;
}

static void print_verdict(const struct config *c, const char *name)
{
    uint32_t servers = count_servers(c);
    printf("%s: valid: %u frontend%s, %u backend%s, %u server%s\n", name, c->n_frontends,
           cli_plural(c->n_frontends), c->n_backends, cli_plural(c->n_backends), servers,
           cli_plural(servers));
}

int cmd_check(const struct cli *cli)
{
    const char *name = cli->value[FLAG_FORMAT];
    enum findings_format format = FINDINGS_TEXT;
    if (name != NULL && !findings_format_parse(name, &format)) {
        fprintf(stderr, "evlb: no format '%s'\n", name);
        return EXIT_USAGE;
    }
    const char *path = cli_config_path(cli);
    struct config_source source = config_source_files(path);
    source.exists = config_exists_here;
    struct findings findings;
    findings_init(&findings);
    struct config *config = certificates_load(&source, &findings);
    if (cli->given[FLAG_QUIET] == 0) {
        findings_print(&findings, stdout, format, cli_colour(stdout));
        if (config != NULL && format == FINDINGS_TEXT)
            print_verdict(config, path);
    }
    int status = exit_status(&findings, config != NULL, cli->given[FLAG_STRICT] > 0);
    if (config != NULL)
        arena_free(config->arena);
    findings_free(&findings);
    return status;
}
