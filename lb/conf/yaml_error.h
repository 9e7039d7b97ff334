// SPDX-License-Identifier: MIT
// Syntax errors in words that help.
#ifndef EVLB_CONF_YAML_ERROR_H
#define EVLB_CONF_YAML_ERROR_H

#include <yaml.h>

#include "conf/diag.h"

// Adds the finding for the error that `parser` stopped at.
void yaml_report_error(const yaml_parser_t *parser, const struct conf_file *file,
                       struct findings *f);
// True when `line` begins with "word:value": the space after the colon is missing. Then *column
// (from 1) is that of the colon.
bool yaml_space_missing(struct str line, uint32_t *column);

#endif
