// SPDX-License-Identifier: MIT
// The ClientHello of a connection whose TLS does not end here: reading it, answering it, keeping
// what the log wants of it.
#ifndef EVLB_HELLO_H
#define EVLB_HELLO_H

#include "io/flow.h"
#include "proto/client_hello.h"

enum hello_read {
    HELLO_READ_DONE, // of what is no TLS, too: then `out` is empty
    HELLO_READ_WAIT,
    HELLO_READ_BAD,
    HELLO_READ_EOF, // the client has ended before it was complete
    HELLO_READ_NO_MEMORY,
};

// Reads into in->buf, where it stays to be sent on. `scratch`: CLIENT_HELLO_MAX bytes, which `out`
// points into.
enum hello_read hello_read(struct flow *in, struct conn *client, char *scratch,
                           struct client_hello *out) MUST_CHECK;

// TLS alerts (RFC 8446 section 6.2) for who gets no connection.
enum hello_alert {
    ALERT_ACCESS_DENIED = 49,
    ALERT_DECODE_ERROR = 50,
    ALERT_UNRECOGNIZED_NAME = 112
};
// Answers with it, as far as the socket takes it at once.
void hello_answer(struct conn *client, enum hello_alert alert);

// What the log says of the hello.
struct hello_note {
    struct str sni;
    struct str alpn; // those offered, with commas between them; cut when there are many
    char text[CLIENT_HELLO_NAME_MAX + 64];
};

// NULL: out of memory.
struct hello_note *hello_note_new(const struct client_hello *h) MUST_CHECK;
void hello_note_free(struct hello_note *n);

#endif
