/* SPDX-License-Identifier: MIT */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include "text.h"

enum mode {
    MODE_HTTP,
    MODE_TCP_ECHO,
    MODE_TCP_GREET,
    MODE_TCP_SINK,
    MODE_TCP_SOURCE,
    MODE_TCP_NAME
};

/* The command line; the strings point into argv. Nothing changes it after the start. */
struct options {
    const char *listen;   /* addresses, comma-separated */
    const char *names;    /* comma-separated; NULL = s1, s2, ... */
    const char *defaults; /* behaviour of every request, as a query; NULL = none */
    enum mode mode;
    bool bench;
    bool accept_proxy;
    bool close_after_response;
    bool no_accept; /* listen only: connections pile up in the backlog */
    bool size_given;
    uint64_t size_bytes; /* body of --bench, length of tcp-source */
    uint64_t read_rate;  /* bytes per second; 0 = as they come */
    uint64_t max_requests;
    uint64_t backlog;
    uint64_t workers;
    double keep_alive_timeout_s; /* 0 = none */
    double accept_delay_s;
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_WRONG };

/* DONE: --help or --list-bad was printed to stdout. WRONG: the reason was printed to stderr. */
enum options_result options_read(int argc, char **argv, struct options *out);

#endif
