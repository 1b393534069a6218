/* The commands. */
#include "server/imap/imapd_int.h"

#define ANY      (IMAPD_LOGGED_OUT | IMAPD_LOGGED_IN | IMAPD_SELECTED)
#define OUT      IMAPD_LOGGED_OUT
#define IN       (IMAPD_LOGGED_IN | IMAPD_SELECTED)
#define SELECTED IMAPD_SELECTED

static const struct imapd_command commands[] = {
    { .name = SLICE_CONST("FETCH"),
        .run = imapd_cmd_fetch,
        .states = SELECTED,
        .with_uid = true,
        .holds_expunges = true },
    { .name = SLICE_CONST("NOOP"), .run = imapd_cmd_noop, .states = ANY },
    { .name = SLICE_CONST("STORE"),
        .run = imapd_cmd_store,
        .states = SELECTED,
        .with_uid = true,
        .holds_expunges = true },
    { .name = SLICE_CONST("IDLE"), .run = imapd_cmd_idle, .states = IN },
    { .name = SLICE_CONST("SELECT"), .run = imapd_cmd_select, .states = IN },
    { .name = SLICE_CONST("EXAMINE"), .run = imapd_cmd_select, .states = IN },
    { .name = SLICE_CONST("STATUS"), .run = imapd_cmd_status, .states = IN },
    { .name = SLICE_CONST("SEARCH"),
        .run = imapd_cmd_search,
        .states = SELECTED,
        .with_uid = true,
        .holds_expunges = true },
    { .name = SLICE_CONST("SORT"),
        .run = imapd_cmd_sort,
        .states = SELECTED,
        .with_uid = true,
        .holds_expunges = true },
    { .name = SLICE_CONST("THREAD"),
        .run = imapd_cmd_thread,
        .states = SELECTED,
        .with_uid = true,
        .holds_expunges = true },
    { .name = SLICE_CONST("COPY"), .run = imapd_cmd_copy, .states = SELECTED, .with_uid = true },
    { .name = SLICE_CONST("MOVE"), .run = imapd_cmd_copy, .states = SELECTED, .with_uid = true },
    { .name = SLICE_CONST("EXPUNGE"),
        .run = imapd_cmd_expunge,
        .states = SELECTED,
        .with_uid = true },
    { .name = SLICE_CONST("APPEND"), .run = imapd_cmd_append, .states = IN },
    { .name = SLICE_CONST("LIST"), .run = imapd_cmd_list, .states = IN },
    { .name = SLICE_CONST("LSUB"), .run = imapd_cmd_lsub, .states = IN },
    { .name = SLICE_CONST("CREATE"), .run = imapd_cmd_create, .states = IN },
    { .name = SLICE_CONST("DELETE"), .run = imapd_cmd_delete, .states = IN },
    { .name = SLICE_CONST("RENAME"), .run = imapd_cmd_rename, .states = IN },
    { .name = SLICE_CONST("SUBSCRIBE"), .run = imapd_cmd_subscribe, .states = IN },
    { .name = SLICE_CONST("UNSUBSCRIBE"), .run = imapd_cmd_unsubscribe, .states = IN },
    { .name = SLICE_CONST("CHECK"), .run = imapd_cmd_noop, .states = SELECTED },
    { .name = SLICE_CONST("CLOSE"), .run = imapd_cmd_close, .states = SELECTED },
    { .name = SLICE_CONST("UNSELECT"), .run = imapd_cmd_unselect, .states = SELECTED },
    { .name = SLICE_CONST("NAMESPACE"), .run = imapd_cmd_namespace, .states = IN },
    { .name = SLICE_CONST("ENABLE"), .run = imapd_cmd_enable, .states = IN },
    { .name = SLICE_CONST("ID"), .run = imapd_cmd_id, .states = ANY },
    { .name = SLICE_CONST("CAPABILITY"), .run = imapd_cmd_capability, .states = ANY },
    { .name = SLICE_CONST("LOGOUT"), .run = imapd_cmd_logout, .states = ANY },
    { .name = SLICE_CONST("LOGIN"), .run = imapd_cmd_login, .states = OUT },
    { .name = SLICE_CONST("AUTHENTICATE"), .run = imapd_cmd_authenticate, .states = OUT },
    { .name = SLICE_CONST("STARTTLS"), .run = imapd_cmd_starttls, .states = OUT },
};

const struct imapd_command *imapd_command_find(struct slice name, bool uid)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (slice_eq_nocase(name, commands[i].name))
            return uid && !commands[i].with_uid ? NULL : &commands[i];
    return NULL;
}
