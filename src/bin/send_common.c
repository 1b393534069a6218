/* Runs over a queue. */
#include "bin/send_common.h"

#include "bin/send_copy.h"

#include "base/clock.h"

#include <stdio.h>

static int flush(struct client_use *use, struct smtpc_queue *queue, const char *only_id, bool now,
    struct smtpc_flush_result *out_result)
{
    struct client_failure failure = { .why = CLIENT_WHY_NONE };
    struct err_note damaged;
    bool due = false;
    *out_result = (struct smtpc_flush_result){ 0 };
    enum err e =
        smtpc_flush_due(queue, only_id, now, clock_wall_s(), &due, &damaged, &failure.note);
    if (e) {
        cli_error_text(failure.note.text);
        return EX_IOERR;
    }
    if (!due && damaged.text[0]) {
        failure.note = damaged;
        (void)client_failed(&failure, CLIENT_WHY_STATE, ERR_CORRUPT);
        return client_say_failure(use, &use->account->smtp, &failure);
    }
    if (!due)
        return EX_OK;
    if (!use->account->smtp.host) {
        cli_error(MSG_CLIENT_NO_SMTP, use->account->name);
        return EX_CONFIG;
    }
    int code = client_use_secret(use);
    if (code)
        return code;
    struct smtpc_flush_options options = {
        .account = use->account,
        .state_folder = use->state_folder,
        .secret = buf_slice(&use->secret),
        .token = use->token,
        .only_id = only_id,
        .now = now,
    };
    e = smtpc_flush(queue, &options, out_result, &failure);
    if (e && client_use_renew(use, &failure)) {
        struct smtpc_flush_result before = *out_result;
        options.secret = buf_slice(&use->secret);
        e = smtpc_flush(queue, &options, out_result, &failure);
        out_result->sent += before.sent;
        out_result->refused += before.refused;
        out_result->no_dsn |= before.no_dsn;
    }
    if (out_result->no_dsn)
        cli_error(MSG_SEND_NO_DSN);
    return e ? client_say_failure(use, &use->account->smtp, &failure) : EX_OK;
}

int send_flush(struct client_use *use, struct smtpc_queue *queue, const char *only_id, bool now,
    struct smtpc_flush_result *out_result)
{
    int code = flush(use, queue, only_id, now, out_result);
    send_file_copies(use, queue);
    return code;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored                                                                     \
    "-Wformat-nonliteral" /* the catalogue's test compares both languages */
void send_add_outcome(const struct smtpc_outcome *outcome, struct buf *out)
{
    struct buf safe;
    buf_init(&safe, 0);
    cli_add_safe(&safe, slice_of(outcome->text));
    buf_addc(&safe, '\0');
    const char *text = buf_slice(&safe).ptr;
    switch (outcome->code) {
    case 0:
        buf_adds(out, tr(MSG_OUTCOME_NONE));
        break;
    case SMTPC_CODE_DOUBT:
        buf_adds(out, tr(MSG_OUTCOME_DOUBT));
        break;
    case SMTPC_CODE_EXPIRED:
        buf_addf(out, tr(MSG_OUTCOME_EXPIRED), (unsigned)SMTPC_QUEUE_DAYS, text);
        break;
    case SMTPC_CODE_SIZE:
        buf_addf(out, tr(MSG_OUTCOME_SIZE), text);
        break;
    case SMTPC_CODE_UTF8:
        if (outcome->text[0])
            buf_addf(out, tr(MSG_OUTCOME_UTF8), text);
        else
            buf_adds(out, tr(MSG_OUTCOME_UTF8_HEADER));
        break;
    case SMTPC_CODE_8BIT:
        buf_adds(out, tr(MSG_OUTCOME_8BIT));
        break;
    default:
        buf_addf(out, "%d %s", outcome->code, text);
    }
    buf_done(&safe);
}
#pragma GCC diagnostic pop
