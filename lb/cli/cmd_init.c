// SPDX-License-Identifier: MIT
// `evlb init`: writes the commented starter file. An existing file is never touched.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "conf/load.h"

static int fail(const char *path, int error)
{
    if (error == EEXIST)
        fprintf(stderr, "evlb: '%s' exists already and was left as it is\n", path);
    else
        fprintf(stderr, "evlb: cannot write '%s': %s\n", path, strerror(error));
    return EXIT_FAILED;
}

int cmd_init(const struct cli *cli)
{
    const char *path = cli->n_operands > 0 ? cli->operands[0] : "evlb.yaml";
    if (strcmp(path, "-") == 0) {
        config_starter(stdout);
        return EXIT_OK;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return fail(path, errno);
    FILE *out = fdopen(fd, "w");
    if (out == NULL) {
        int error = errno;
        close(fd);
        return fail(path, error);
    }
    config_starter(out);
    bool bad = ferror(out) != 0;
    if (fclose(out) != 0 || bad)
        return fail(path, EIO);
    printf("wrote %s; next: evlb check -c %s\n", path, path);
    return EXIT_OK;
}
