// SPDX-License-Identifier: MIT
// Printing a JSON document that was built with base/json.h.
#ifndef EVLB_CLI_JSON_OUT_H
#define EVLB_CLI_JSON_OUT_H

#include "base/json.h"

// Writes the document and a line end to standard output and releases the buffer. Returns the exit
// status.
int json_print(struct json *j) MUST_CHECK;

#endif
