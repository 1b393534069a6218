/* Structured MIME fields: Content-Type, Content-Disposition and their parameters (RFC 2045 §5.1, RFC 2183 §2), with the
 * continuations of RFC 2231 §3 joined. Private to message/. */
#ifndef MESSAGE_PARAM_H
#define MESSAGE_PARAM_H

#include "base/arena.h"
#include "base/slice.h"

struct mime_param {
    struct slice
        name; /* as given; with a final "*" when the value is in RFC 2231 form: charset'language'%41... */
    struct slice value; /* unquoted */
};

struct mime_value {
    struct slice type;    /* the first token; "" when there is none that can be read */
    struct slice subtype; /* after "/"; "" when there is none */
    bool given;           /* there is something besides blanks and comments */
    struct mime_param *params;
    size_t count;
};

/* Parses a raw value. At most MIME_PARAMETERS_MAX parameters are given. Never fails on content; ERR_LIMIT over the arena. */
enum err MUST_USE mime_value_parse(
    struct arena *arena, struct slice raw, struct mime_value *out_value);

/* The value of the first parameter of that name, plain or extended. NULL when it is not there. */
const struct mime_param *mime_param_find(const struct mime_value *value, struct slice name);

/* Whether a raw Content-Type names a type and a subtype. */
bool mime_names_type(struct slice raw);

/* Content-Transfer-Encoding: the token, without comments. "" when there is none or more than one. */
struct slice mime_token(struct slice raw);

#endif
