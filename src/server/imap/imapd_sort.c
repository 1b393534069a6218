/* SORT and UID SORT (RFC 5256 §3, RFC 5957, RFC 7162 §3.1.9): a SEARCH, whose result is put in order. */
#include "server/imap/imapd_sort_int.h"

#include <stdlib.h>

#define NUMBER_BYTES_MAX 10u /* of 32 bits */

/* Numbers with a blank before each, a thousand at a time: the answer has one for each message. */
static enum err write_numbers(struct imapd_session *s, bool uid, const uint32_t *uids, size_t count)
{
    for (size_t i = 0; i < count;) {
        size_t piece = count - i < 1000 ? count - i : 1000, len = 0;
        char *room = buf_room(imapd_out(s), piece * (1 + NUMBER_BYTES_MAX));
        if (!room)
            return ERR_LIMIT;
        for (size_t end = i + piece; i < end; i++) {
            uint32_t number = imapd_number(s, uid, uids[i]);
            char digits[NUMBER_BYTES_MAX];
            size_t at = sizeof digits;
            for (; number; number /= 10)
                digits[--at] = (char)('0' + number % 10);
            if (at == sizeof digits)
                continue;
            room[len++] = ' ';
            while (at < sizeof digits)
                room[len++] = digits[at++];
        }
        buf_wrote(imapd_out(s), len);
        TRY(conn_flush_full(s->conn));
    }
    return ERR_OK;
}

static enum err sort(struct imapd_session *s, struct imapd_cmd *cmd, struct uidset *found)
{
    struct imap_sort_args args;
    uint64_t modseq;
    TRY(imap_parse_sort(&cmd->parse, &args));
    TRY(imapd_search_find(s, cmd, &args.search, found, &modseq));
    if (cmd->answered)
        return ERR_OK;
    struct imapd_table table;
    uint32_t *uids = NULL;
    size_t count = 0;
    if (!uidset_empty(found)) {
        TRY(imapd_table_open(s, sort_facts_of(args.criteria, args.count), found, &table));
        sort_table_order(table.table, args.criteria, args.count, found, &uids, &count);
        imapd_table_close(s, &table);
    }
    buf_add(imapd_out(s), SLICE("* SORT"));
    enum err e = write_numbers(s, cmd->uid, uids, count);
    free(uids);
    TRY(e);
    imapd_search_write_end(s, modseq);
    return imapd_ok(s, cmd, "", "Sorted");
}

enum err imapd_cmd_sort(struct imapd_session *s, struct imapd_cmd *cmd)
{
    struct uidset found;
    uidset_init(&found);
    enum err e = sort(s, cmd, &found);
    uidset_done(&found);
    return e;
}
