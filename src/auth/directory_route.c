/* directory.db: aliases, and where mail for an address goes. */
#include "auth/directory_int.h"

#include "base/log.h"
#include "base/map.h"
#include "base/utf8.h"

#include <string.h>

#define ALIAS_USERS_MAX 10000u /* users one address may lead to; more is a mailing list's work */
#define ALIAS_STEPS_MAX 20000u /* names looked at on the way */

enum err directory_find_alias(struct directory_link *link, struct slice alias)
{
    sqlite3_stmt *statement;
    bool there = false;
    TRY(sql_get(&link->sql, SQL_ALIAS_TARGETS, &statement));
    sql_bind_text(statement, 1, alias);
    TRY(sql_has(&link->sql, statement, &there));
    return there ? ERR_OK : ERR_NOT_FOUND;
}

static struct slice domain_of(struct slice address)
{
    return slice_from_index(address, slice_index(address, '@') + 1);
}

/* ---- changing ---- */

static enum err alias_insert(struct directory_link *link, struct slice alias, struct slice target)
{
    struct user user;
    sqlite3_stmt *statement;
    enum err e = directory_find_domain(link, domain_of(alias));
    if (e)
        return e == ERR_NOT_FOUND ? ERR_DENIED : e;
    e = directory_find(link, SQL_USER, alias, &user, NULL);
    if (e != ERR_NOT_FOUND)
        return e ? e : ERR_EXISTS;
    e = directory_find(link, SQL_USER, target, &user, NULL);
    if (e == ERR_NOT_FOUND)
        e = slice_eq(alias, target) ? ERR_NOT_FOUND : directory_find_alias(link, target);
    if (e)
        return e;
    TRY(sql_get(&link->sql, SQL_ALIAS_INSERT, &statement));
    sql_bind_text(statement, 1, alias);
    sql_bind_text(statement, 2, target);
    sql_bind_text(statement, 3, domain_of(alias));
    return sql_done(&link->sql, statement);
}

enum err directory_alias_add(
    struct directory *directory, struct slice alias, struct slice target, struct err_note *note)
{
    char from[USER_NAME_BYTES_MAX + 1], to[USER_NAME_BYTES_MAX + 1];
    enum err e = address_canonical(alias, from);
    if (e)
        return err_noted(note, e, "%s is not an address", LOG_S(alias));
    e = address_canonical(target, to);
    if (e)
        return err_noted(note, e, "%s is not an address", LOG_S(target));
    e = directory_write_begin(directory);
    if (!e)
        e = directory_write_end(
            directory, alias_insert(&directory->writer, slice_of(from), slice_of(to)));
    if (e == ERR_DENIED)
        return err_noted(note, e, "the domain of %s is not one of ours", from);
    if (e == ERR_NOT_FOUND)
        return err_noted(note, e, "%s is neither a user nor an alias here", to);
    if (e == ERR_EXISTS)
        return err_noted(note, e, "%s is a user, or leads to %s already", from, to);
    return e ? err_noted(note, e, "the alias could not be stored: %s", err_words(e)) : ERR_OK;
}

static enum err alias_delete(struct directory_link *link, struct slice alias, struct slice target)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&link->sql, SQL_ALIAS_DELETE, &statement));
    sql_bind_text(statement, 1, alias);
    sql_bind_text(statement, 2, target);
    TRY(sql_done(&link->sql, statement));
    if (sqlite3_changes(link->sql.db) == 0)
        return ERR_NOT_FOUND;
    return sql_run(&link->sql, SQL_ALIAS_DELETE_DANGLING); /* D-3 */
}

enum err directory_alias_remove(
    struct directory *directory, struct slice alias, struct slice target)
{
    char from[USER_NAME_BYTES_MAX + 1], to[USER_NAME_BYTES_MAX + 1] = "";
    TRY(address_canonical(alias, from));
    if (target.len > 0)
        TRY(address_canonical(target, to));
    TRY(directory_write_begin(directory));
    return directory_write_end(
        directory, alias_delete(&directory->writer, slice_of(from), slice_of(to)));
}

enum err directory_aliases(
    struct directory *directory, struct arena *arena, struct alias **out_list, size_t *out_count)
{
    struct directory_link *link = &directory->reader;
    struct alias *list = NULL;
    size_t count = 0, cap = 0;
    sqlite3_stmt *statement = NULL;
    bool row;
    pthread_mutex_lock(&link->lock);
    enum err e = sql_get(&link->sql, SQL_ALIASES, &statement);
    while (!e && !(e = sql_step(&link->sql, statement, &row)) && row) {
        list = arena_grow(arena, list, &cap, count + 1, sizeof *list);
        struct alias alias = { 0 };
        if (list) {
            alias.alias = slice_dup(arena, sql_text(statement, 0));
            alias.target = slice_dup(arena, sql_text(statement, 1));
        }
        if (!alias.alias.ptr || !alias.target.ptr)
            e = ERR_LIMIT;
        else
            list[count++] = alias;
    }
    sql_reset(statement);
    pthread_mutex_unlock(&link->lock);
    if (e)
        return e;
    *out_list = list;
    *out_count = count;
    return ERR_OK;
}

/* ---- following ---- */

/* A breadth-first walk over names; `seen` makes loops end and each user come once. */
struct walk {
    struct directory_link *link;
    struct arena *arena;
    struct map seen;
    struct slice *names; /* to look at, in order */
    size_t name_count, name_cap;
    struct user *users;
    size_t user_count, user_cap;
};

static enum err walk_add(struct walk *walk, struct slice name)
{
    if (map_put(&walk->seen, name, walk))
        return ERR_OK;
    if (walk->name_count >= ALIAS_STEPS_MAX)
        return ERR_LIMIT;
    struct slice copy = slice_dup(walk->arena, name);
    walk->names = arena_grow(
        walk->arena, walk->names, &walk->name_cap, walk->name_count + 1, sizeof *walk->names);
    if (!walk->names || !copy.ptr)
        return ERR_LIMIT;
    walk->names[walk->name_count++] = copy;
    return ERR_OK;
}

/* The name is a user, or an alias whose targets come next. */
static enum err walk_step(struct walk *walk, struct slice name)
{
    struct user user;
    enum err e = directory_find(walk->link, SQL_USER, name, &user, NULL);
    if (!e) {
        if (walk->user_count >= ALIAS_USERS_MAX)
            return ERR_LIMIT;
        walk->users = arena_grow(
            walk->arena, walk->users, &walk->user_cap, walk->user_count + 1, sizeof *walk->users);
        if (!walk->users)
            return ERR_LIMIT;
        walk->users[walk->user_count++] = user;
        return ERR_OK;
    }
    if (e != ERR_NOT_FOUND)
        return e;
    sqlite3_stmt *statement;
    TRY(sql_get(&walk->link->sql, SQL_ALIAS_TARGETS, &statement));
    sql_bind_text(statement, 1, name);
    bool row;
    e = ERR_OK;
    while (!e && !(e = sql_step(&walk->link->sql, statement, &row)) && row)
        e = walk_add(walk, sql_text(statement, 0));
    sql_reset(statement);
    return e;
}

/* All users that name leads to; ERR_NOT_FOUND when there is none. */
static enum err walk_from(struct walk *walk, struct slice name)
{
    enum err e = walk_add(walk, name);
    for (size_t i = 0; i < walk->name_count && !e; i++)
        e = walk_step(walk, walk->names[i]);
    return e ? e : walk->user_count > 0 ? ERR_OK : ERR_NOT_FOUND;
}

/* "omar+work@x" → "omar@x". False when there is no detail. */
static bool without_detail(const char *address, char *out)
{
    struct slice s = slice_of(address);
    size_t at = slice_index(s, '@'), plus = slice_index(s, '+');
    if (plus >= at || plus == 0)
        return false;
    memcpy(out, address, plus);
    memcpy(out + plus, address + at, s.len - at + 1);
    return true;
}

/* What stood after '+', in the spelling of the sender: folders have capitals. The folded one when the plus was written some other way. */
static struct slice detail_of(struct slice address, const char *canonical)
{
    struct slice folded = slice_of(canonical);
    size_t plus = slice_index(folded, '+');
    folded = slice_sub(folded, plus + 1, slice_index(folded, '@') - plus - 1);
    if (address.len == 0 || address.ptr[0] == '"')
        return folded;
    size_t at = address.len;
    while (at > 0 && address.ptr[at - 1] != '@')
        at--;
    struct slice local = slice_sub(address, 0, at > 0 ? at - 1 : 0);
    size_t sent_plus = slice_index(local, '+');
    return sent_plus + 1 < local.len ? slice_from_index(local, sent_plus + 1) : folded;
}

/* Postmaster can always be reached (RFC 5321 §4.5.1). */
static bool is_postmaster(struct slice canonical)
{
    return slice_starts(canonical, SLICE("postmaster@"));
}

static enum err resolve(
    struct walk *walk, struct slice address, const char *canonical, struct slice *out_detail)
{
    char base[USER_NAME_BYTES_MAX + 1];
    struct slice whole = slice_of(canonical);
    enum err e = directory_find_domain(walk->link, domain_of(whole));
    if (e)
        return e == ERR_NOT_FOUND ? ERR_DENIED : e;
    *out_detail = SLICE_EMPTY;
    e = walk_from(walk, whole);
    if (e == ERR_NOT_FOUND && without_detail(canonical, base)) {
        walk->name_count = 0;
        *out_detail = detail_of(address, canonical);
        whole = slice_of(base);
        e = walk_from(walk, whole);
    }
    if (e == ERR_NOT_FOUND && is_postmaster(whole)) {
        walk->users = arena_alloc(walk->arena, sizeof *walk->users);
        if (!walk->users)
            return ERR_LIMIT;
        e = directory_find(walk->link, SQL_USER_OLDEST, SLICE("any"), walk->users, NULL);
        walk->user_count = e ? 0 : 1;
    }
    return e;
}

enum err directory_resolve(struct directory *directory, struct slice address, struct arena *arena,
    struct user **out_users, size_t *out_count, struct slice *out_detail)
{
    char canonical[USER_NAME_BYTES_MAX + 1];
    struct walk walk = { .link = &directory->reader, .arena = arena };
    struct slice detail = SLICE_EMPTY;
    /* RCPT TO:<Postmaster> has no domain (RFC 5321 §4.1.1.3) */
    bool bare = slice_eq_nocase(address, SLICE("postmaster"));
    if (!bare)
        TRY(address_canonical(address, canonical));
    TRY(directory_read_begin(directory));
    map_init(&walk.seen);
    enum err e = ERR_OK;
    if (bare) {
        walk.users = arena_alloc(arena, sizeof *walk.users);
        e = walk.users ? directory_find(walk.link, SQL_USER_OLDEST, SLICE("any"), walk.users, NULL)
                       : ERR_LIMIT;
        walk.user_count = 1;
    } else {
        e = resolve(&walk, address, canonical, &detail);
    }
    map_done(&walk.seen);
    directory_read_end(directory);
    if (e)
        return e;
    detail = detail.len > 0 ? slice_dup(arena, detail) : SLICE_EMPTY;
    if (!detail.ptr)
        return ERR_LIMIT;
    *out_users = walk.users;
    *out_count = walk.user_count;
    *out_detail = detail;
    return ERR_OK;
}

bool directory_owns(struct directory *directory, const struct user *user, struct slice address)
{
    char canonical[USER_NAME_BYTES_MAX + 1], base[USER_NAME_BYTES_MAX + 1];
    if (address_canonical(address, canonical))
        return false;
    bool detailed = without_detail(canonical, base);
    if (strcmp(canonical, user->address) == 0 || (detailed && strcmp(base, user->address) == 0))
        return true;
    struct arena arena;
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    struct walk walk = { .link = &directory->reader, .arena = &arena };
    bool owns = false;
    if (directory_read_begin(directory) == ERR_OK) {
        map_init(&walk.seen);
        enum err e = walk_from(&walk, slice_of(canonical));
        if (e == ERR_NOT_FOUND && detailed)
            e = walk_from(&walk, slice_of(base));
        for (size_t i = 0; i < walk.user_count && !e; i++)
            owns = owns || strcmp(walk.users[i].id, user->id) == 0;
        map_done(&walk.seen);
        directory_read_end(directory);
    }
    arena_done(&arena);
    return owns;
}
