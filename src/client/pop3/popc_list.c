/* What is in the mailbox: LIST and UIDL side by side. */
#include "client/pop3/popc_int.h"

#include <stdlib.h>
#include <string.h>

#define NO_UIDL       SIZE_MAX
#define SEVERAL_UIDLS (SIZE_MAX - 1)

static enum err too_many(struct popc *popc)
{
    (void)err_noted(&popc->failure->note, ERR_LIMIT, "the server lists more than %u messages",
        POPC_MESSAGES_MAX);
    return client_failed(popc->failure, CLIENT_WHY_LIMIT, ERR_LIMIT);
}

static enum err add_message(struct popc *popc, struct slice line)
{
    uint32_t number;
    uint64_t bytes;
    /* in order, so that none is there twice */
    if (pop_parse_list(line, &number, &bytes) ||
        (popc->count > 0 && number <= popc->messages[popc->count - 1].number))
        return client_failed_said(popc->failure, CLIENT_WHY_NONSENSE, ERR_SYNTAX, line);
    if (popc->count == POPC_MESSAGES_MAX)
        return too_many(popc);
    if (popc->count == popc->cap) {
        popc->cap = popc->cap ? popc->cap * 2 : 256;
        popc->messages = mem_realloc(popc->messages, popc->cap * sizeof *popc->messages);
    }
    popc->messages[popc->count++] = (struct client_message){ .number = number, .bytes = bytes };
    return ERR_OK;
}

static enum err read_list(struct popc *popc)
{
    struct pop_reply reply;
    struct slice line;
    bool more = true;
    TRY(popc_reply(popc, &reply));
    for (;;) {
        TRY(popc_answer_line(popc, &line, &more));
        if (!more)
            return ERR_OK;
        TRY(add_message(popc, line));
    }
}

/* ---- UIDL ---- */

static struct client_message *find_number(struct popc *popc, size_t *hint, uint32_t number)
{
    if (*hint < popc->count && popc->messages[*hint].number == number) /* the usual order */
        return &popc->messages[(*hint)++];
    size_t low = 0, high = popc->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (popc->messages[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == popc->count || popc->messages[low].number != number)
        return NULL;
    *hint = low + 1;
    return &popc->messages[low];
}

/* Where the id of message i begins in popc->uidls; a message that got several ids has none. */
static void take_uidl(struct popc *popc, struct slice line, size_t *offsets, size_t *hint)
{
    struct slice uidl = SLICE_EMPTY;
    uint32_t number = 0;
    bool bad = pop_parse_uidl(line, &number, &uidl) != ERR_OK;
    struct client_message *message = number ? find_number(popc, hint, number) : NULL;
    if (!message)
        return;
    size_t *offset = &offsets[message - popc->messages];
    bool first = *offset == NO_UIDL;
    *offset = SEVERAL_UIDLS; /* or one that is none */
    if (bad || !first)
        return;
    *offset = buf_len(&popc->uidls);
    buf_add(&popc->uidls, uidl);
    buf_addc(&popc->uidls, '\0');
}

/* A server that has UIDL and cannot now would have us know its messages by their headers: all that was fetched by its UIDL would come once more. */
static enum err uidl_later(struct popc *popc)
{
    (void)err_noted(&popc->failure->note, ERR_BUSY, "UIDL names no message now");
    return client_failed(popc->failure, CLIENT_WHY_SYS_TEMP, ERR_BUSY);
}

static enum err read_uidl(struct popc *popc, size_t *offsets)
{
    struct pop_reply reply;
    struct slice line;
    bool more = true;
    size_t hint = 0;
    enum err e = popc_reply(popc, &reply);
    if (e && popc->has_uidl && popc->failure->why == CLIENT_WHY_REFUSED)
        return uidl_later(popc); /* what it said is there yet */
    if (popc_goes_on(popc, e))
        return ERR_OK;
    TRY(e);
    for (size_t lines = 0;; lines++) {
        TRY(popc_answer_line(popc, &line, &more));
        if (!more)
            return lines == 0 && popc->count > 0 && popc->has_uidl ? uidl_later(popc) : ERR_OK;
        if (lines == POPC_MESSAGES_MAX)
            return too_many(popc);
        take_uidl(popc, line, offsets, &hint);
    }
}

static int by_uidl(const void *a, const void *b)
{
    const struct client_message *const *left = a, *const *right = b;
    return strcmp((*left)->id, (*right)->id);
}

static void mark_shared(struct popc *popc)
{
    struct client_message **sorted = mem_alloc((popc->count + 1) * sizeof *sorted);
    size_t count = 0;
    for (size_t i = 0; i < popc->count; i++)
        if (popc->messages[i].id)
            sorted[count++] = &popc->messages[i];
    qsort(sorted, count, sizeof *sorted, by_uidl);
    for (size_t i = 0, end; i < count; i = end) {
        const char *uidl = sorted[i]->id;
        for (end = i + 1; end < count && strcmp(sorted[end]->id, uidl) == 0; end++)
            sorted[i]->shared = sorted[end]->shared = true;
    }
    free(sorted);
}

static enum err take_uidls(struct popc *popc)
{
    size_t *offsets = mem_alloc((popc->count + 1) * sizeof *offsets);
    for (size_t i = 0; i < popc->count; i++)
        offsets[i] = NO_UIDL;
    enum err e = read_uidl(popc, offsets);
    for (size_t i = 0; !e && i < popc->count; i++)
        if (offsets[i] < SEVERAL_UIDLS)
            popc->messages[i].id = buf_slice(&popc->uidls).ptr + offsets[i];
    free(offsets);
    if (!e)
        mark_shared(popc);
    return e;
}

enum err popc_list(struct popc *popc, const struct client_message **out_messages, size_t *out_count,
    struct client_failure *failure)
{
    popc->failure = failure;
    popc->count = 0;
    buf_clear(&popc->uidls);
    bool asks_uidl = popc->uidl_ahead || popc->has_uidl || !popc->has_capa;
    if (!popc->list_ahead)
        TRY(popc_send(popc, SLICE("LIST\r\n")));
    TRY(read_list(popc));
    if (asks_uidl && !popc->uidl_ahead)
        TRY(popc_send(popc, SLICE("UIDL\r\n")));
    if (asks_uidl)
        TRY(take_uidls(popc));
    popc->list_ahead = popc->uidl_ahead = false;
    *out_messages = popc->messages;
    *out_count = popc->count;
    return ERR_OK;
}
