-- The empty route: a plain GET.
dofile("common.lua")
