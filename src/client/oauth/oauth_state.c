/* Lines of a keyword and a value. */
#include "client/oauth/oauth_state.h"

#include "proto/sasl/sasl.h"

#include <inttypes.h>
#include <string.h>

#define FIRST_LINE "barid-oauth 1"

static const struct row {
    const char *name;
    size_t field;
    size_t bytes_max;
} rows[] = {
    { "issuer", offsetof(struct oauth_state, issuer), OAUTH_URL_BYTES_MAX },
    { "token-url", offsetof(struct oauth_state, token_url), OAUTH_URL_BYTES_MAX },
    { "client-id", offsetof(struct oauth_state, client_id), OAUTH_WORD_BYTES_MAX },
    { "client-secret", offsetof(struct oauth_state, client_secret), OAUTH_WORD_BYTES_MAX },
    { "access", offsetof(struct oauth_state, access), OAUTH_TOKEN_BYTES_MAX },
    { "refresh", offsetof(struct oauth_state, refresh), OAUTH_TOKEN_BYTES_MAX },
};

#define ROWS (sizeof rows / sizeof rows[0])

static struct buf *field_of(struct oauth_state *state, const struct row *row)
{
    return (struct buf *)((char *)state + row->field);
}

static struct slice value_of(const struct oauth_state *state, const struct row *row)
{
    return buf_slice((const struct buf *)((const char *)state + row->field));
}

void oauth_state_init(struct oauth_state *state)
{
    *state = (struct oauth_state){ .expires_s = 0 };
    for (size_t i = 0; i < ROWS; i++)
        buf_init(field_of(state, &rows[i]), 0);
}

void oauth_state_done(struct oauth_state *state)
{
    for (size_t i = 0; i < ROWS; i++)
        sasl_buf_wipe(field_of(state, &rows[i]));
    oauth_state_init(state);
}

void oauth_state_set(struct buf *field, struct slice value)
{
    sasl_buf_wipe(field);
    buf_init(field, 0);
    (void)buf_room(field, value.len + 1); /* it never grows: no copy stays behind */
    buf_add(field, value);
}

static bool is_value(struct slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if (slice_at(value, i) < ' ' || slice_at(value, i) > '~')
            return false;
    return value.len > 0;
}

static enum err read_line(struct slice line, struct oauth_state *state)
{
    struct slice name = SLICE_EMPTY;
    uint64_t number = 0;
    if (slice_eq(line, SLICE("in-header"))) {
        state->secret_in_header = true;
        return ERR_OK;
    }
    if (!slice_cut(&line, ' ', &name) || !is_value(line))
        return ERR_CORRUPT;
    if (slice_eq(name, SLICE("expires"))) {
        if (slice_to_u64(line, INT64_MAX, &number) != ERR_OK || state->expires_s || number == 0)
            return ERR_CORRUPT;
        state->expires_s = (int64_t)number;
        return ERR_OK;
    }
    for (size_t i = 0; i < ROWS; i++) {
        if (!slice_eq(name, slice_of(rows[i].name)))
            continue;
        if (line.len > rows[i].bytes_max)
            return ERR_LIMIT;
        if (value_of(state, &rows[i]).len > 0)
            return ERR_CORRUPT;
        oauth_state_set(field_of(state, &rows[i]), line);
        return ERR_OK;
    }
    return ERR_CORRUPT;
}

static enum err read_lines(struct slice text, struct oauth_state *state)
{
    struct slice line = SLICE_EMPTY;
    if (text.len == 0 || text.ptr[text.len - 1] != '\n')
        return ERR_CORRUPT;
    if (!slice_cut(&text, '\n', &line) || !slice_eq(line, SLICE(FIRST_LINE)))
        return ERR_CORRUPT;
    while (slice_cut(&text, '\n', &line)) {
        if (slice_eq(line, SLICE("end")))
            return text.len == 0 && buf_len(&state->token_url) > 0 ? ERR_OK : ERR_CORRUPT;
        TRY(read_line(line, state));
    }
    return ERR_CORRUPT;
}

enum err oauth_state_read(struct slice text, struct oauth_state *state)
{
    enum err e = read_lines(text, state);
    if (e != ERR_OK)
        oauth_state_done(state);
    return e;
}

enum err oauth_state_write(const struct oauth_state *state, struct buf *out)
{
    buf_adds(out, FIRST_LINE "\n");
    for (size_t i = 0; i < ROWS; i++) {
        struct slice value = value_of(state, &rows[i]);
        if (value.len == 0)
            continue;
        if (!is_value(value))
            return ERR_SYNTAX;
        buf_addf(out, "%s ", rows[i].name);
        buf_add(out, value);
        buf_addc(out, '\n');
    }
    if (state->secret_in_header)
        buf_adds(out, "in-header\n");
    if (state->expires_s > 0)
        buf_addf(out, "expires %" PRId64 "\n", state->expires_s);
    buf_adds(out, "end\n");
    return buf_err(out);
}
