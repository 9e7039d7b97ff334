// SPDX-License-Identifier: MIT
// `evlb schema`: JSON Schema (draft 2020-12) from the rows, for editors and for validators in CI.
// It knows shapes and values, not references. Every scalar may hold ${...} instead of its type.
// A quoted number is accepted by evlb and not by the schema, which is no loss to anyone.
#include <stdio.h>

#include "conf/emit.h"
#include "conf/load.h"

static void put_string(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static bool is_number(const char *text)
{
    uint64_t value;
    return str_to_u64(str_of(text), &value);
}

static void put_words(const struct row *row, FILE *out)
{
    fputs("{\"enum\": [", out);
    for (const char *const *w = row->words; *w != NULL; w++) {
        fputs(w > row->words ? ", " : "", out);
        if (is_number(*w) || strcmp(*w, "true") == 0 || strcmp(*w, "false") == 0)
            fprintf(out, "%s, ", *w);
        put_string(*w, out);
    }
    fputs("]}", out);
}

static void put_number(const struct row *row, FILE *out)
{
    fprintf(out, "{\"type\": \"integer\", \"minimum\": %llu, \"maximum\": %llu}",
            (unsigned long long)row->min, (unsigned long long)row->max);
    if (row->zero_word != NULL)
        fprintf(out, ", {\"const\": \"%s\"}", row->zero_word);
}

static bool is_scalar(const struct row *row)
{
    switch ((int)row->type) {
    case VALUE_BOOL:
    case VALUE_U32:
    case VALUE_U16:
    case VALUE_DURATION:
    case VALUE_SIZE:
    case VALUE_ENUM:
    case VALUE_FIXED:
    case VALUE_LISTEN_ADDRESS:
    case VALUE_SERVER_ADDRESS:
        return true;
    default:
        return false;
    }
}

static void put_type(const struct row *row, FILE *out)
{
    if (row->type == VALUE_OBJECT)
        fprintf(out, "{\"$ref\": \"#/$defs/%s\"}", row->object->id);
    else if (row->words != NULL && value_kinds[row->type].json == NULL)
        put_words(row, out);
    else if (value_kinds[row->type].json == NULL)
        put_number(row, out);
    else
        fputs(value_kinds[row->type].json, out);
    if ((row->type == VALUE_DURATION || row->type == VALUE_SIZE) && row->min == 0)
        fputs(", {\"enum\": [0, \"0\"]}", out); // needs no unit
}

static void put_row(const struct row *row, FILE *out)
{
    fputs("{\"description\": ", out);
    put_string(row->doc, out);
    if (row->fallback != NULL && is_scalar(row) && !is_number(row->fallback)) {
        fputs(", \"default\": ", out);
        put_string(row->fallback, out);
    } else if (row->fallback != NULL && is_scalar(row)) {
        fprintf(out, ", \"default\": %s", row->fallback);
    }
    fputs(", \"anyOf\": [", out);
    put_type(row, out);
    if (is_scalar(row))
        fputs(", {\"$ref\": \"#/$defs/interpolated\"}", out);
    fputs("]}", out);
}

static void put_properties(const struct object *const *objects, FILE *out)
{
    bool first = true;
    for (const struct object *const *o = objects; *o != NULL; o++) {
        for (size_t i = 0; i < (*o)->n_rows; i++) {
            const struct row *row = &(*o)->rows[i];
            bool before = false;
            for (const struct object *const *p = objects; p != o; p++)
                before = before || schema_row(*p, str_of(row->key)) != NULL;
            if (before || emit_is_planned(row))
                continue;
            fprintf(out, "%s\n      \"%s\": ", first ? "" : ",", row->key);
            put_row(row, out);
            first = false;
        }
    }
}

static void put_required(const struct object *o, FILE *out)
{
    const char *before = ", \"required\": [";
    for (size_t i = 0; i < o->n_rows; i++) {
        if ((o->rows[i].flags & ROW_REQUIRED) == 0)
            continue;
        fprintf(out, "%s\"%s\"", before, o->rows[i].key);
        before = ", ";
    }
    if (before[1] == ' ' && before[2] == '\0')
        fputc(']', out);
}

static void put_map(const struct object *const *objects, bool required, FILE *out)
{
    fputs("{\"type\": \"object\", \"properties\": {", out);
    put_properties(objects, out);
    fputs("\n    }, \"patternProperties\": {\"^x-\": true}, \"additionalProperties\": false", out);
    if (required)
        put_required(objects[0], out);
}

// Routes have exactly one action, which rows cannot say.
static void put_object(const struct object *o, FILE *out)
{
    const struct object *const only[] = {o, NULL};
    fprintf(out, "    \"%s\": ", o->id);
    if (o->short_key != NULL) {
        fputs("{\"anyOf\": [", out);
        put_type(schema_row(o, str_of(o->short_key)), out);
        fputs(", {\"$ref\": \"#/$defs/interpolated\"}, ", out);
    }
    if (o == &object_health)
        fputs("{\"type\": \"string\", \"pattern\": \"^[A-Z]+ +/\"}, ", out);
    put_map(only, true, out);
    if (o == &object_route)
        fputs(", \"oneOf\": [{\"required\": [\"backend\"]}, {\"required\": [\"redirect\"]}, "
              "{\"required\": [\"deny\"]}]",
              out);
    fputs(o->short_key != NULL ? "}]}" : "}", out);
    fputs(",\n", out);
}

void config_schema_json(FILE *out)
{
    const struct object *const top[] = {&object_root, &object_frontend, &object_backend, NULL};
    fputs("{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
          "  \"title\": \"evlb.yaml\",\n  \"$ref\": \"#/$defs/root\",\n  \"$defs\": {\n",
          out);
    for (size_t o = 0; schema_objects[o] != NULL; o++) {
        if (schema_objects[o] != &object_root)
            put_object(schema_objects[o], out);
    }
    fprintf(out,
            "    \"interpolated\": {\"type\": \"string\", \"pattern\": \"\\\\$\\\\{\"},\n"
            "    \"name\": {\"type\": \"string\", \"pattern\": "
            "\"^[A-Za-z0-9_.-]{1,%d}$|\\\\$\\\\{\"},\n"
            "    \"root\": ",
            NAME_MAX_BYTES);
    put_map(top, false, out);
    fputs("}\n  }\n}\n", out);
}
