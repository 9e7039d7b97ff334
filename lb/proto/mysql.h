// SPDX-License-Identifier: MIT
// Packets of the MySQL client/server protocol, version 10, as MariaDB and MySQL speak it: framing,
// the login and text results. Readers check every length; what they return are slices of the input.
// Source: MariaDB's and MySQL's protocol documentation, "Connection Phase" and "Text Protocol".
#ifndef EVLB_MYSQL_H
#define EVLB_MYSQL_H

#include "base/buf.h"
#include "base/str.h"

#define MYSQL_HEAD 4      // length (3 bytes, little endian) and sequence number
#define MYSQL_SCRAMBLE 20 // random bytes that a server sends for a login
#define MYSQL_PROOF 32    // the longest answer to them

enum mysql_byte { // the first one of a payload
    MYSQL_OK = 0x00,
    MYSQL_MORE_DATA = 0x01,
    MYSQL_NULL = 0xfb, // of a value
    MYSQL_EOF = 0xfe,  // end of rows or columns; at a login: another plugin
    MYSQL_ERR = 0xff,
};

enum mysql_capability {
    MYSQL_LONG_PASSWORD = 1, // for MariaDB: no extensions of its own
    MYSQL_PROTOCOL_41 = 0x200,
    MYSQL_SECURE_CONNECTION = 0x8000, // scrambles of 20 bytes
    MYSQL_PLUGIN_AUTH = 0x80000,
};

enum mysql_plugin { MYSQL_NATIVE, MYSQL_CACHING_SHA2, MYSQL_OTHER };

struct mysql_greeting {
    uint8_t version; // of the protocol; if it is not 10, nothing else is filled in
    uint32_t capabilities;
    uint8_t scramble[MYSQL_SCRAMBLE];
    struct str plugin; // empty: the server does not say
};

// The payload of the first packet; false when `in` is too short for it. *payload_len is as the
// server says, also then.
bool mysql_packet(struct str in, struct str *payload, size_t *payload_len, uint8_t *sequence);
// Appends one packet. False: out of memory.
bool mysql_put(struct buf *out, uint8_t sequence, struct str payload) MUST_CHECK;

bool mysql_read_greeting(struct str payload, struct mysql_greeting *g) MUST_CHECK;
// 0xfe at a login. False: malformed, or the plugin of before 4.1, which sends nothing but 0xfe.
bool mysql_read_switch(struct str payload, struct str *plugin,
                       uint8_t scramble[MYSQL_SCRAMBLE]) MUST_CHECK;
// The code of an ERR packet, 0 when it is malformed; *text: the server's words.
unsigned mysql_read_error(struct str payload, struct str *text);

enum mysql_plugin mysql_plugin_of(struct str name);
// What proves that we know the password; *n is 0 for an empty one.
bool mysql_prove(enum mysql_plugin plugin, struct str password,
                 const uint8_t scramble[MYSQL_SCRAMBLE], uint8_t proof[MYSQL_PROOF],
                 size_t *n) MUST_CHECK;
// HandshakeResponse41 with the answer to the greeting's plugin. False: does not fit, no memory.
bool mysql_put_login(struct buf *out, const struct mysql_greeting *g, enum mysql_plugin plugin,
                     struct str user, struct str proof) MUST_CHECK;

// A number or a text with its length in front, cut off the beginning of `in`.
bool mysql_cut_number(struct str *in, uint64_t *value) MUST_CHECK;
bool mysql_cut_text(struct str *in, struct str *text) MUST_CHECK;
// The next value of a row; text->p is NULL for NULL.
bool mysql_cut_value(struct str *row, struct str *text) MUST_CHECK;
// The name of a column out of its definition.
bool mysql_read_column(struct str payload, struct str *name) MUST_CHECK;

#endif
