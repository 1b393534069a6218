/* directory.db: POP3 policies. A row is kept as text, one setting a line, so that a later setting needs no other table. */
#include "auth/directory_int.h"
#include "auth/pop_policy.h"

#include "base/log.h"

#include <stdio.h>

/* Lines that a newer Barid wrote and this one does not know are passed over. */
static void read_settings(struct slice text, struct pop_policy *policy)
{
    struct slice line, name;
    while (slice_cut(&text, '\n', &line)) {
        enum pop_setting setting;
        if (!slice_cut(&line, '=', &name))
            continue;
        if (pop_setting_find(name, &setting) != ERR_OK ||
            pop_policy_set(policy, setting, line) != ERR_OK)
            log_warn("directory.pop", "setting=%s not known, passing it over", LOG_S(name));
    }
}

static void write_settings(const struct pop_policy *policy, struct buf *out)
{
    for (int i = 0; i < POP_SETTING_COUNT; i++) {
        buf_addf(out, "%s=", pop_setting_name((enum pop_setting)i));
        pop_policy_value(policy, (enum pop_setting)i, out);
        buf_addc(out, '\n');
    }
}

static enum err read_policy(
    struct directory_link *link, const struct user *user, struct pop_policy *out_policy)
{
    sqlite3_stmt *statement;
    bool row;
    TRY(sql_get(&link->sql, SQL_POP_POLICY, &statement));
    sql_bind_text(statement, 1, slice_of(user->id));
    sqlite3_bind_int64(statement, 2, user->device);
    TRY(sql_step(&link->sql, statement, &row));
    if (row) {
        out_policy->since_ms = sqlite3_column_int64(statement, 0);
        out_policy->own = user->device && sqlite3_column_int64(statement, 2) == user->device;
        read_settings(sql_text(statement, 1), out_policy);
    }
    sql_reset(statement);
    return ERR_OK;
}

enum err directory_pop_policy(
    struct directory *directory, const struct user *user, struct pop_policy *out_policy)
{
    *out_policy = (struct pop_policy){ 0 };
    struct directory_link *link = &directory->reader;
    pthread_mutex_lock(&link->lock);
    enum err e = read_policy(link, user, out_policy);
    pthread_mutex_unlock(&link->lock);
    return e;
}

static enum err read_users(struct directory_link *link, struct arena *arena,
    char (**list)[USER_ID_BYTES + 1], size_t *count)
{
    sqlite3_stmt *statement;
    size_t cap = 0;
    bool row;
    TRY(sql_get(&link->sql, SQL_POP_POLICY_USERS, &statement));
    enum err e = ERR_OK;
    while (!e && !(e = sql_step(&link->sql, statement, &row)) && row) {
        struct slice id = sql_text(statement, 0);
        *list = arena_grow(arena, *list, &cap, *count + 1, sizeof **list);
        if (!*list)
            e = ERR_LIMIT;
        else
            (void)snprintf((*list)[(*count)++], sizeof **list, "%.*s", SLICE_FMT(id));
    }
    sql_reset(statement);
    return e;
}

enum err directory_pop_after_days(struct directory *directory, struct arena *arena,
    char (**out_ids)[USER_ID_BYTES + 1], size_t *out_count)
{
    struct directory_link *link = &directory->reader;
    char(*list)[USER_ID_BYTES + 1] = NULL;
    size_t count = 0;
    pthread_mutex_lock(&link->lock);
    enum err e = read_users(link, arena, &list, &count);
    pthread_mutex_unlock(&link->lock);
    if (!e) {
        *out_ids = list;
        *out_count = count;
    }
    return e;
}

enum err directory_pop_policy_set(
    struct directory *directory, const struct user *user, const struct pop_policy *policy)
{
    struct directory_link *link = &directory->writer;
    struct buf text;
    sqlite3_stmt *statement;
    TRY(directory_write_begin(directory));
    buf_init(&text, 0);
    write_settings(policy, &text);
    enum err e = sql_get(&link->sql, SQL_POP_POLICY_SET, &statement);
    if (!e) {
        sql_bind_text(statement, 1, slice_of(user->id));
        sqlite3_bind_int64(statement, 2, user->device);
        sqlite3_bind_int64(statement, 3, policy->since_ms);
        sql_bind_text(statement, 4, buf_slice(&text));
        e = sql_done(&link->sql, statement);
    }
    if (!e && sqlite3_changes(link->sql.db) == 0)
        e = ERR_NOT_FOUND;
    e = directory_write_end(directory, e);
    buf_done(&text);
    return e;
}

enum err directory_pop_policy_reset(struct directory *directory, const struct user *user)
{
    struct directory_link *link = &directory->writer;
    sqlite3_stmt *statement;
    TRY(directory_write_begin(directory));
    enum err e = sql_get(
        &link->sql, user->device ? SQL_POP_POLICY_DELETE : SQL_POP_POLICY_CLEAR, &statement);
    if (!e) {
        sql_bind_text(statement, 1, slice_of(user->id));
        sqlite3_bind_int64(statement, 2, user->device);
        e = sql_done(&link->sql, statement);
    }
    return directory_write_end(directory, e);
}

enum err directory_pop_switched_on(
    struct directory_link *link, const struct user *user, int64_t now_ms)
{
    static const enum directory_sql steps[] = { SQL_POP_POLICY_SINCE,
        SQL_POP_POLICY_SINCE_DEVICES };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        sqlite3_stmt *statement;
        TRY(sql_get(&link->sql, steps[i], &statement));
        sql_bind_text(statement, 1, slice_of(user->id));
        sqlite3_bind_int64(statement, 2, now_ms);
        TRY(sql_done(&link->sql, statement));
    }
    return ERR_OK;
}
