// SPDX-License-Identifier: MIT
// `evlb diff`: what a reload with a file would change. The file, with all that it includes, is read
// here, as the user who asks; the running evlb gets it as one bundle (conf/bundle.h) and compares
// it with the configuration in force. Nothing is changed.
#include "cli/ctl_client.h"
#include "cli/source.h"
#include "conf/bundle.h"

// The bytes of the bundle; false after a complaint.
static bool read_bundle(const char *path, struct buf *out)
{
    struct config_source files = config_source_files(path);
    struct bundle *bundle = bundle_new();
    struct config_source source = bundle_record(bundle, &files);
    struct findings findings;
    findings_init(&findings);
    struct config *config = config_load(&source, &findings);
    if (config == NULL)
        findings_print(&findings, stderr, FINDINGS_TEXT, cli_colour(stderr));
    bool written = config != NULL && bundle_write(bundle, &source, config, BUNDLE_FOR_CONTROL, out);
    if (config != NULL && !written)
        fprintf(stderr, "evlb: out of memory\n");
    if (config != NULL)
        arena_free(config->arena);
    findings_free(&findings);
    bundle_free(bundle);
    return written;
}

static int compare(struct ctl *ctl, const struct buf *bundle)
{
    struct ctl_answer answer;
    const struct ctl_request request = {.method = "POST",
                                        .target = "/v1/plan",
                                        .body = {buf_head(bundle), buf_len(bundle)},
                                        .seconds = 30};
    int status = ctl_ask(ctl, &request, &answer);
    if (status != EXIT_OK)
        return status == EXIT_UNREACHABLE ? status : EXIT_USAGE;
    const struct json_value *changes = json_get(answer.json, "changes");
    ctl_print_lines(cli_wants_json(ctl->cli) ? answer.body : json_get_text(answer.json, "text"));
    return changes != NULL && changes->first != NULL ? EXIT_FAILED : EXIT_OK;
}

static int diff(struct ctl *ctl)
{
    const struct cli *cli = ctl->cli;
    struct buf bundle = {0};
    int status = EXIT_USAGE;
    if (read_bundle(cli->n_operands > 0 ? cli->operands[0] : cli_config_path(cli), &bundle))
        status = compare(ctl, &bundle);
    buf_release(&bundle);
    return status;
}

// Without -c the file that is compared is also taken to say where evlb is; standard input cannot be
// read twice.
int cmd_diff(const struct cli *cli)
{
    const char *file = cli->value[FLAG_CONFIG];
    if (file == NULL && cli->n_operands > 0 && strcmp(cli->operands[0], "-") != 0)
        file = cli->operands[0];
    return ctl_run_of(cli, file, diff);
}
