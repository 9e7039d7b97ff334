// SPDX-License-Identifier: MIT
// The configuration of a simulation: from YAML, as evlb reads it. Called by sim_new(). "listen: 80"
// goes without saying.
#include "sim.h"

struct config_source sim_source(const char *yaml, char *text, size_t size)
{
    bool whole = strstr(yaml, "frontends:") != NULL || strstr(yaml, "listen:") != NULL;
    int n = snprintf(text, size, "%s%s", whole ? "" : "listen: 80\n", yaml);
    assert_true(n > 0 && (size_t)n < size);
    struct config_source source = config_source_text("sim.yaml", (struct str){text, (size_t)n});
    if (strstr(yaml, "tls") != NULL)
        sim_tls_source(&source);
    return source;
}

struct config *sim_config(const char *yaml)
{
    char text[2048];
    struct config_source source = sim_source(yaml, text, sizeof(text));
    struct findings findings;
    findings_init(&findings);
    struct config *c = config_load(&source, &findings);
    if (c == NULL)
        findings_print(&findings, stderr, FINDINGS_TEXT, false);
    assert_non_null(c);
    findings_free(&findings);
    return c;
}
