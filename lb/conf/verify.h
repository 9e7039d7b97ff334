// SPDX-License-Identifier: MIT
// References and contradictions: what cannot be judged value by value. Internal to conf/.
#ifndef EVLB_CONF_VERIFY_H
#define EVLB_CONF_VERIFY_H

#include "conf/bind.h"

struct verifier {
    struct binder *b;
    struct config *config;
};

void verify(struct binder *b);
// Each backend by itself; completes its `health`, for which the modes must be known.
void verify_backends(struct verifier *v);
// Routes: what contradicts the mode of their frontend or its TLS, what no other leaves anything
// for.
void verify_route_keys(struct verifier *v, const struct frontend *f);
void verify_routes(struct verifier *v);
// TLS to its servers and in its checks; when `health` is complete.
void verify_server_tls(struct verifier *v, const struct backend *backend);
// TLS with clients: what is allowed but hardly meant.
void verify_tls(struct verifier *v);
struct span verify_span(const struct verifier *v, const struct conf_mark *m);

#endif
