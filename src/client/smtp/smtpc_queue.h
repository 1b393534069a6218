/* Mail that is to be sent, on disk: the folder `queue` in the state folder of an account. For each message ID.msg, its bytes as they go over the
 * wire, and ID.rec, its record (smtpc_record.h). Blocking; a process has it open once.
 *
 * ID.rec is named only when ID.msg is whole and synced. A message without a record was never accepted, and is swept when
 *      nobody holds its lock.
 * A record changes whole or not at all (new file, fsync, rename, fsync of the folder).
 * Only who holds the lock sends, changes and removes; adding needs no lock.
 * "sent" is recorded before the next message is begun. What was sent when a crash came may be sent once more: SMTP knows no way to ask.
 * A record that stays when its message is sent is written once more before: with no room for it the message would go out with every run. */
#ifndef CLIENT_SMTP_SMTPC_QUEUE_H
#define CLIENT_SMTP_SMTPC_QUEUE_H

#include "client/smtp/smtpc_record.h"

#define SMTPC_ID_CHARS 20u /* seconds in hex, "-", random */

struct smtpc_queue {
    int folder, lock; /* -1: not open, not locked */
};

/* Makes the folder when it is missing. */
enum err MUST_USE smtpc_queue_open(
    const char *state_folder, struct smtpc_queue *out_queue, struct err_note *note);
void smtpc_queue_close(struct smtpc_queue *queue);
/* ERR_BUSY: another process has it after wait_ms. Sweeps what was never accepted. */
enum err MUST_USE smtpc_queue_lock(struct smtpc_queue *queue, int wait_ms, struct err_note *note);

/* A message on its way in: written to fd by the caller, then added or dropped. */
struct smtpc_draft {
    int fd;
    char id[SMTPC_ID_CHARS + 1];
};
enum err MUST_USE smtpc_draft_begin(
    struct smtpc_queue *queue, struct smtpc_draft *out_draft, struct err_note *note);
/* Durable when it returns ERR_OK. The draft is closed in any case. */
enum err MUST_USE smtpc_draft_add(struct smtpc_queue *queue, struct smtpc_draft *draft,
    const struct smtpc_record *record, struct err_note *note);
void smtpc_draft_drop(struct smtpc_queue *queue, struct smtpc_draft *draft);

/* All ids, oldest first; owned by the caller: free(). */
struct smtpc_ids {
    char (*all)[SMTPC_ID_CHARS + 1];
    size_t count;
};
enum err MUST_USE smtpc_queue_ids(
    struct smtpc_queue *queue, struct smtpc_ids *out_ids, struct err_note *note);
/* ERR_NOT_FOUND: it is not there; any other error: note names the file, which may be read another time, ERR_CORRUPT never. */
enum err MUST_USE smtpc_queue_read(struct smtpc_queue *queue, const char *id,
    struct smtpc_record *out_record, struct err_note *note);
enum err MUST_USE smtpc_queue_write(struct smtpc_queue *queue, const char *id,
    const struct smtpc_record *record, struct err_note *note);
/* The bytes of a message, to be read. ERR_CORRUPT: they are fewer than its record says. */
enum err MUST_USE smtpc_queue_message(struct smtpc_queue *queue, const char *id, uint64_t bytes,
    int *out_fd, struct err_note *note);
enum err MUST_USE smtpc_queue_remove(
    struct smtpc_queue *queue, const char *id, struct err_note *note);
/* Whether the text can be an id; nothing else ever becomes a file name. */
bool smtpc_id_ok(const char *id);

#endif
