/* A login by IMAP, as the account and the last login want it. */
#include "bin/client_imap.h"

#include "client/core/remember.h"

static enum err open_once(
    const struct client_use *use, struct imapc **out_imap, struct client_failure *failure)
{
    const struct client_account *account = use->account;
    struct imapc_options options = { .account = account,
        .secret = buf_slice(&use->secret),
        .token = use->token,
        .weakest = client_remembered(use->state_folder, "imap", &account->imap),
        .timeout_ms = CLIENT_TIMEOUT_MS };
    struct imapc *imap = NULL;
    TRY(imapc_open(&options, &imap, failure));
    unsigned mechanism = imapc_mechanism(imap);
    enum err e = mechanism ? client_remember(use->state_folder, "imap", &account->imap, mechanism,
                                 &failure->note)
                           : ERR_OK;
    if (e != ERR_OK) {
        imapc_close(imap);
        return client_failed(failure, CLIENT_WHY_STATE, e);
    }
    *out_imap = imap;
    return ERR_OK;
}

enum err client_imap_open(
    struct client_use *use, struct imapc **out_imap, struct client_failure *failure)
{
    enum err e = open_once(use, out_imap, failure);
    if (e != ERR_OK && client_use_renew(use, failure))
        e = open_once(use, out_imap, failure);
    return e;
}
