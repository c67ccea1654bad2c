// Lua: runs the script that is its argument.
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
int main(int argc, char **argv) {
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    int r = luaL_dofile(L, argv[argc - 1]);
    if (r) printf("%s\n", lua_tostring(L, -1));
    lua_close(L);
    return r;
}
