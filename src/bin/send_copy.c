/* The copy in Sent. A crash between the append and the record ends well: the next run finds the message there. */
#include "bin/send_copy.h"

#include "base/cleanup.h"
#include "bin/client_imap.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_due(const struct smtpc_record *record)
{
    return record->copy == SMTPC_COPY_DUE && smtpc_record_count(record, SMTPC_WAITS) == 0 &&
           smtpc_record_count(record, SMTPC_SENT) > 0;
}

static enum err read_exactly(void *arg, char *to, size_t len)
{
    int fd = *(int *)arg;
    while (len) {
        ssize_t got = read(fd, to, len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? err_from_errno(errno) : ERR_IO;
        to += got;
        len -= (size_t)got;
    }
    return ERR_OK;
}

static enum err settle(
    struct smtpc_queue *queue, const char *id, struct smtpc_record *record, struct err_note *note)
{
    record->copy = SMTPC_COPY_DONE;
    bool over = smtpc_record_count(record, SMTPC_SENT) == record->count;
    return over ? smtpc_queue_remove(queue, id, note) : smtpc_queue_write(queue, id, record, note);
}

static enum err file_one(struct smtpc_queue *queue, const char *id, struct smtpc_record *record,
    int fd, struct imapc *imap, struct err_note *note)
{
    bool was_there;
    enum err e = imapc_file_sent(
        imap, record->message_id, record->created_s, record->bytes, read_exactly, &fd, &was_there);
    if (e != ERR_OK)
        return err_noted(note, e, "%s", imapc_words(imap)[0] ? imapc_words(imap) : err_words(e));
    return settle(queue, id, record, note);
}

/* The connection is made when the first copy wants it. A record that cannot be read is told by who sends; *out_damaged: a message that cannot. */
static enum err file_due(struct client_use *use, struct smtpc_queue *queue, const char *id,
    struct imapc **imap, struct err_note *out_damaged, struct client_failure *failure)
{
    struct smtpc_record record;
    struct err_note unused;
    autoclose int fd = -1;
    enum err e = smtpc_queue_read(queue, id, &record, &unused);
    if (e != ERR_OK)
        return ERR_OK;
    if (is_due(&record) &&
        smtpc_queue_message(queue, id, record.bytes, &fd, out_damaged) == ERR_OK) {
        if (!*imap && client_use_secret(use) != EX_OK)
            e = ERR_AUTH;
        if (e == ERR_OK && !*imap)
            e = client_imap_open(use, imap, failure);
        if (e == ERR_OK)
            e = file_one(queue, id, &record, fd, *imap, &failure->note);
    }
    smtpc_record_done(&record);
    return e;
}

void send_file_copies(struct client_use *use, struct smtpc_queue *queue)
{
    struct client_failure failure = { .why = CLIENT_WHY_NONE };
    struct err_note damaged = { "" };
    struct smtpc_ids ids;
    struct imapc *imap = NULL;
    if (!use->account->imap.host || smtpc_queue_ids(queue, &ids, &failure.note) != ERR_OK)
        return; /* whoever shows the queue says what is wrong with it */
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < ids.count; i++)
        e = file_due(use, queue, ids.all[i], &imap, &damaged, &failure);
    if (e == ERR_OK && damaged.text[0]) {
        failure.note = damaged;
        e = ERR_CORRUPT;
    }
    if (e != ERR_OK) {
        cli_error(MSG_SEND_COPY_LATER);
        if (failure.why != CLIENT_WHY_NONE)
            (void)client_say_failure(use, &use->account->imap, &failure);
        else if (failure.note.text[0])
            cli_error_text(failure.note.text);
    }
    imapc_close(imap);
    free(ids.all);
}
