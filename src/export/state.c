/* The state of an mbox as text. */
#include "export/state.h"

#define RUNS_MAX (EXPORT_STATE_BYTES_MAX / 2) /* the shortest run is a digit and a comma */

void export_state_init(struct export_state *state)
{
    *state = (struct export_state){ .uidvalidity = 0 };
    uidset_init(&state->uids);
    uidset_init(&state->adding);
}

void export_state_done(struct export_state *state)
{
    uidset_done(&state->uids);
    uidset_done(&state->adding);
}

void export_state_write(const struct export_state *state, struct buf *out)
{
    buf_addf(out, "barid-mbox 1\nuidvalidity %u\nbytes %llu\nuids ", state->uidvalidity,
        (unsigned long long)state->bytes);
    uidset_write(&state->uids, out);
    if (state->adding_bytes) {
        buf_addf(out, "\nadding %llu ", (unsigned long long)state->adding_bytes);
        uidset_write(&state->adding, out);
    }
    buf_addc(out, '\n');
}

/* The value of a line that begins with this word. */
static enum err take_line(struct slice *text, struct slice word, struct slice *out_value)
{
    struct slice line;
    if (slice_index(*text, '\n') == text->len || !slice_cut(text, '\n', &line) ||
        !slice_starts(line, word))
        return ERR_SYNTAX;
    *out_value = slice_from_index(line, word.len);
    return ERR_OK;
}

static enum err read_set(struct slice text, struct uidset *out)
{
    if (text.len == 0)
        return ERR_OK;
    return uidset_read(out, text, RUNS_MAX);
}

static enum err read_all(struct slice text, struct export_state *state)
{
    struct slice value, number;
    uint64_t uidvalidity;
    TRY(take_line(&text, SLICE("barid-mbox "), &value));
    if (!slice_eq(value, SLICE("1")))
        return ERR_SYNTAX;
    TRY(take_line(&text, SLICE("uidvalidity "), &value));
    TRY(slice_to_u64(value, UINT32_MAX, &uidvalidity));
    state->uidvalidity = (uint32_t)uidvalidity;
    TRY(take_line(&text, SLICE("bytes "), &value));
    TRY(slice_to_u64(value, INT64_MAX, &state->bytes));
    TRY(take_line(&text, SLICE("uids "), &value));
    TRY(read_set(value, &state->uids));
    if (text.len == 0)
        return ERR_OK;
    TRY(take_line(&text, SLICE("adding "), &value));
    if (!slice_cut(&value, ' ', &number) || text.len)
        return ERR_SYNTAX;
    TRY(slice_to_u64(number, INT64_MAX, &state->adding_bytes));
    return state->adding_bytes ? read_set(value, &state->adding) : ERR_SYNTAX;
}

enum err export_state_read(struct slice text, struct export_state *state)
{
    struct export_state read;
    export_state_init(&read);
    enum err e = read_all(text, &read);
    if (e == ERR_OK) {
        export_state_done(state);
        *state = read;
    } else {
        export_state_done(&read);
    }
    return e == ERR_LIMIT ? ERR_SYNTAX : e;
}
