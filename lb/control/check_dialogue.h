// SPDX-License-Identifier: MIT
// From the health section of a backend to the dialogue (proto/dialogue.h) that checks one server.
#ifndef EVLB_CHECK_DIALOGUE_H
#define EVLB_CHECK_DIALOGUE_H

#include "conf/config.h"
#include "proto/dialogue.h"

union check_dialogue {
    struct dialogue base;
    struct dialogue_text text;
    struct dialogue_http http;
    struct dialogue_mysql mysql;
    struct dialogue_postgres postgres;
    struct dialogue_redis redis;
    struct dialogue_smtp smtp;
};

// What all checks of a backend share, made once per configuration.
struct check_terms {
    const struct health *health;
    const struct dialogue_field *fields;
    const struct dialogue_range *statuses;
    bool speaks_first; // we do
};
struct check_terms check_terms_make(const struct health *h, struct arena *a);

// Whether a check of that server goes over TLS, and how.
bool check_dialogue_tls(const struct server *server, struct tls_terms *out) MUST_CHECK;

#define CHECK_HOST 280 // room for a host name with its port
// `host` is room for the Host field and lives as long as the dialogue, as do the terms.
void check_dialogue_init(union check_dialogue *d, const struct check_terms *terms,
                         const struct server *server, char host[CHECK_HOST]);

#endif
