#include "client/imap/imapc_known.h"

#include "base/arena.h"

#include <stdlib.h>

void imapc_known_init(struct imapc_known *known)
{
    map_init(&known->numbers);
}

void imapc_known_done(struct imapc_known *known)
{
    size_t cursor = 0;
    struct slice name;
    void *numbers;
    while (map_next(&known->numbers, &cursor, &name, &numbers))
        free(numbers);
    map_done(&known->numbers);
}

void imapc_known_clear(struct imapc_known *known)
{
    imapc_known_done(known);
    imapc_known_init(known);
}

static struct slice key_of(struct slice name)
{
    return slice_eq_nocase(name, SLICE("INBOX")) ? SLICE("INBOX") : name;
}

void imapc_known_set(
    struct imapc_known *known, struct slice name, const struct imapc_numbers *numbers)
{
    struct imapc_numbers *own = mem_zalloc(1, sizeof *own);
    *own = *numbers;
    free(map_put(&known->numbers, key_of(name), own));
}

bool imapc_known_differs(
    const struct imapc_known *known, struct slice name, const struct imapc_numbers *now)
{
    const struct imapc_numbers *was = map_get(&known->numbers, key_of(name));
    if (!was)
        return true;
    if (!was->uidvalidity || !now->uidvalidity)
        return false;
    return was->uidvalidity != now->uidvalidity || was->messages != now->messages ||
           (was->uidnext && now->uidnext && was->uidnext != now->uidnext) ||
           (was->modseq && now->modseq && was->modseq != now->modseq);
}
