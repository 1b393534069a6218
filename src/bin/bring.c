#include "bin/bring.h"

#include "base/encode.h"
#include "base/rand.h"
#include "server/core/control.h"

#include <stdio.h>
#include <string.h>

#define LINE_BYTES 2000 /* less than the server takes */

void bring_name(const char *word, char *out_name)
{
    unsigned char random[8];
    struct buf hex;
    rand_bytes(random, sizeof random);
    buf_init(&hex, 0);
    hex_encode(&hex, slice_from(random, sizeof random));
    (void)snprintf(
        out_name, BRING_NAME_BYTES, "incoming/%s-%.*s", word, SLICE_FMT(buf_slice(&hex)));
    buf_done(&hex);
}

/* What a server answers. */
struct answer {
    struct store_restore_result *result;
    char failure[64];
};

static void on_line(void *answer_arg, struct slice line)
{
    struct answer *answer = answer_arg;
    struct slice word;
    uint64_t number;
    if (slice_starts(line, SLICE("failed: "))) {
        (void)snprintf(
            answer->failure, sizeof answer->failure, "%.*s", SLICE_FMT(slice_from_index(line, 8)));
        return;
    }
    if (!slice_cut(&line, ' ', &word) || slice_to_u64(line, UINT64_MAX, &number) != ERR_OK)
        return;
    const struct {
        struct slice name;
        uint64_t *number;
    } numbers[] = {
        { SLICE("added"), &answer->result->added },
        { SLICE("there"), &answer->result->there },
        { SLICE("damaged"), &answer->result->damaged },
        { SLICE("uidls"), &answer->result->uidls },
        { SLICE("uidls-lost"), &answer->result->uidls_lost },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (slice_eq(word, numbers[i].name))
            *numbers[i].number = number;
}

static enum err ask(
    const struct config *config, const char *line, int len, struct store_restore_result *result)
{
    struct answer answer = { .result = result };
    bool ok = false;
    if (len < 0 || len >= LINE_BYTES)
        return ERR_LIMIT;
    TRY(control_ask(config->data_dir, line, on_line, &answer, &ok));
    if (ok)
        return ERR_OK;
    for (enum err e = ERR_SYNTAX; e <= ERR_CANCELED; e++)
        if (strcmp(answer.failure, err_name(e)) == 0)
            return e;
    return ERR_IO;
}

enum err bring_add(const struct config *config, struct store *store, const char *user_id,
    const struct store_restore_args *args, struct store_restore_result *out_result)
{
    char line[LINE_BYTES];
    *out_result = (struct store_restore_result){ 0 };
    if (store)
        return store_restore(store, slice_of(user_id), args, out_result);
    int len = snprintf(line, sizeof line, "restore %s %s %.*s add %u %.*s\n", user_id, args->folder,
        SLICE_FMT(args->from_id), (unsigned)args->uid, SLICE_FMT(args->mailbox));
    return ask(config, line, len, out_result);
}

enum err bring_replace(const struct config *config, struct store *store, const char *user_id,
    const struct store_restore_args *args, struct store_restore_result *out_result)
{
    char line[LINE_BYTES];
    *out_result = (struct store_restore_result){ 0 };
    if (!store) {
        int len = snprintf(line, sizeof line, "restore %s %s %.*s replace\n", user_id, args->folder,
            SLICE_FMT(args->from_id));
        return ask(config, line, len, out_result);
    }
    TRY(store_replace_prepare(store, slice_of(user_id), args));
    return store_replace(store, slice_of(user_id), args->folder);
}
