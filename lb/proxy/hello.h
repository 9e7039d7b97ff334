// SPDX-License-Identifier: MIT
// The ClientHello by itself: answering it without TLS (broken, or refused before TLS began),
// keeping what the log and servers want of one that is passed on.
#ifndef EVLB_HELLO_H
#define EVLB_HELLO_H

#include "io/conn.h"
#include "proto/client_hello.h"

// TLS alerts (RFC 8446 section 6.2) for who gets no connection.
enum hello_alert {
    ALERT_ACCESS_DENIED = 49,
    ALERT_DECODE_ERROR = 50,
    ALERT_UNRECOGNIZED_NAME = 112
};
// Answers with it, as far as the socket takes it at once.
void hello_answer(struct conn *client, enum hello_alert alert);

// What is told of the hello.
struct hello_note {
    struct str sni;
    struct str alpn; // those offered, with commas between them; cut when there are many
    char text[CLIENT_HELLO_NAME_MAX + 64];
};

// NULL: out of memory.
struct hello_note *hello_note_new(const struct client_hello *h) MUST_CHECK;
void hello_note_free(struct hello_note *n);

#endif
