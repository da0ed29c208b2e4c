"""What was backed up comes back once, to whichever shards; nothing broken is made into a board."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from db.kept_tables import KEPT_TABLES, LEFT_OUT
from db.tables import metadata
from domain.errors import OperatorError
from infra.local.cluster import LocalCluster
from service.backup.check_backup import check_backup
from service.backup.manifest import MANIFEST, Manifest, encode, read_manifest, runs_of
from service.backup.targets import assign
from service.parts import Parts
from service.verify_ranks import verify_ranks
from service.verify_shards import verify_shards
from sharding.reshard.fleet import Fleet, locked_fleet
from tests.cli.shell import query
from tests.db.shards import connected
from tests.factories import opened_parts
from tests.service.backup.world import held, keep, restore, states, wipe
from tests.sharding.routers import owned_by, switch
from tests.waiting import until

SESSIONS = "shard-shard2/game_sessions.copy.gz"


def test_every_table_is_kept_or_left_out_for_a_reason() -> None:
    kept = {table.name: table for table in KEPT_TABLES}
    assert sorted([*kept, *LEFT_OUT]) == sorted(metadata.tables)
    for name, table in kept.items():
        missing = {str(column.name) for column in metadata.tables[name].columns} - set(table.columns)
        assert missing == ({"changed_xid"} if table.numbered else set())
        # Nothing counts by itself: a restored table needs no sequence set.
        assert not any(column.identity or column.server_default for column in metadata.tables[name].columns)


def test_buckets_are_written_as_runs() -> None:
    assert runs_of({3: 1, 1: 1, 2: 1, 4: 2, 9: 2}) == ((1, 3, 1), (4, 4, 2), (9, 9, 2))


def test_shards_are_assigned_by_name() -> None:
    assert assign(["a", "b"], ["a", "b", "c"], {}) == {"a": ["a"], "b": ["b"], "c": []}
    assert assign(["a", "b"], ["x"], {"a": "x", "b": "x"}) == {"x": ["a", "b"]}
    with pytest.raises(OperatorError, match=r"no shard b, of which .* --into b=SHARD"):
        assign(["a", "b"], ["a"], {})
    with pytest.raises(OperatorError, match=r"the backup has no shard z; it has a"):
        assign(["a"], ["a"], {"z": "a"})
    with pytest.raises(OperatorError, match=r"the deployment has no shard z; it has a"):
        assign(["a"], ["a"], {"a": "z"})


async def test_a_backup_goes_into_empty_shards_and_only_into_such(
    played: LocalCluster, fleet: Fleet, kept: Path
) -> None:
    before = await held(played)
    with pytest.raises(OperatorError, match=r"There are players on shard1, shard2, shard3, shard4 already"):
        await restore(fleet, kept)
    assert (await held(played), await states(played)) == (before, {"owned"})

    incarnations = await query(played, "select incarnation from shard_info")
    await wipe(played)
    assert (await restore(fleet, kept)).loaded == ["shard1", "shard2", "shard3", "shard4"]
    assert await held(played) == before
    assert await states(played) == {"owned"}
    assert {epoch for (epoch,) in await query(played, "select distinct epoch from bucket_owner")} == {2}
    # Another incarnation, with transaction ids of its own: no mark of a relay holds for it.
    assert not {*incarnations} & {*await query(played, "select incarnation from shard_info")}
    strange = "select count(*) from leaderboard where changed_xid >= pg_current_xact_id() or changed_xid = '0'"
    assert await query(played, strange) == [(0,)] * 4
    # A relay that finds these shards builds the ranks anew by itself.
    async with opened_parts(played) as parts:
        await until(lambda: _verified(parts))
    assert (await verify_shards(fleet)).faults == []
    # Once more is nothing to do.
    assert (await restore(fleet, kept)).loaded == []


async def _verified(parts: Parts) -> bool:
    try:
        return (await verify_ranks(parts)).differences == []
    except OperatorError:
        return False


async def test_what_is_overwritten_is_gone_and_revoked_keys_stay_revoked(
    played: LocalCluster, fleet: Fleet, tmp_path: Path
) -> None:
    await query(
        played,
        "insert into api_keys values "
        "('k', 'server', 'x', sha256('k'), '{submit}', 0, 0, now(), null, null), "
        "('m', 'server', 'y', sha256('m'), '{submit}', 0, 0, now(), null, null)",
    )
    await keep(fleet, tmp_path / "kept")
    before = await held(played)
    await query(played, "update api_keys set revoked_at = now() where key_id = 'k'; ")
    await query(played, "delete from api_keys where key_id = 'm'")
    await query(played, "update leaderboard set total_score = total_score + 1")
    assert (await restore(fleet, tmp_path / "kept", overwrite=True)).loaded_before == []
    assert await held(played) == before
    keys = await query(played, "select key_id, revoked_at is not null from api_keys order by 1")
    assert keys == [("k", True), ("m", False)] * 4
    # The same backup once more: what was played since goes again.
    await query(played, "update leaderboard set total_score = total_score + 1")
    assert len((await restore(fleet, tmp_path / "kept", overwrite=True)).loaded) == 4
    assert await held(played) == before


async def test_moved_buckets_are_restored_where_they_were_and_copies_are_not(
    played: LocalCluster, fleet: Fleet, tmp_path: Path
) -> None:
    bucket = (await query(played, "select min(bucket) from players"))[0][0]
    before = await held(played)
    await switch(played.shards[0], played.shards[3], [bucket])
    # What a copy that was left behind looks like.
    await query(
        played,
        "insert into players select b, 5000 + b, 'copy', now() from generate_series(0, 4095) as b "
        "where not exists (select from bucket_owner where bucket = b) limit 3",
    )
    manifest = await keep(fleet, tmp_path / "kept")
    assert manifest.shards[3].epochs[bucket] == 2
    await wipe(played)
    await restore(fleet, tmp_path / "kept")
    assert await held(played) == before
    assert [await owned_by(shard, bucket) for shard in played.shards] == [False, False, False, True]
    assert (await verify_shards(fleet)).faults == []


async def test_fewer_shards_take_all_that_more_had(played: LocalCluster, fleet: Fleet, kept: Path) -> None:
    before = await held(played)
    await wipe(played)
    await restore(fleet, kept, renames={"shard3": "shard1", "shard4": "shard1"})
    assert await held(played) == before
    counts = await query(played, "select count(*) from bucket_owner")
    assert counts == [(3072,), (1024,), (0,), (0,)]
    assert (await verify_shards(fleet)).faults == []


async def test_no_backup_is_made_while_buckets_move(played: LocalCluster, fleet: Fleet, tmp_path: Path) -> None:
    async with locked_fleet(fleet, "rebalance"):
        with pytest.raises(OperatorError, match="Buckets are being worked on by shardboard rebalance"):
            await keep(fleet, tmp_path / "kept")
    assert list(tmp_path.iterdir()) == []


def _flip(file: str) -> Callable[[Path], None]:
    def flip(folder: Path) -> None:
        content = bytearray((folder / file).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / file).write_bytes(content)

    return flip


def _edit(pattern: str, text: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / MANIFEST
        path.write_text(re.sub(pattern, text, path.read_text(), count=1))

    return edit


def _lengthen(folder: Path) -> None:
    with (folder / SESSIONS).open("ab") as file:
        file.write(gzip.compress(b"more\n"))


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole") / "kept"


@pytest.fixture
async def whole(copies: Path, clean: LocalCluster, fleet: Fleet) -> Path:
    """A backup, made once for all tests of this file: of shards without a player, whose files break as well."""
    if not copies.exists():
        await keep(fleet, copies)
    return copies


@pytest.mark.parametrize(
    ("break_", "problem"),
    [
        (_flip(SESSIONS), rf"damaged: .*{SESSIONS} is not as it was written"),
        (_lengthen, rf"damaged: .*{SESSIONS} has \d+ bytes and was written with"),
        (lambda folder: (folder / SESSIONS).unlink(), rf"not whole: .*{SESSIONS} is missing"),
        (lambda folder: (folder / MANIFEST).unlink(), r"has no manifest\.json: .* stopped before its end"),
        (_edit(r'"rows": \d+', '"rows": 7'), r"manifest\.json is damaged: its checksum differs"),
        (lambda folder: (folder / MANIFEST).write_bytes(b"{"), r"manifest\.json is damaged: it is no JSON"),
        (_edit(r'"format_version": 1', '"format_version": 2'), r"has the format 2, and this Shardboard reads up to 1"),
        (_edit("shardboard-backup", "pgbackrest"), r"is no backup of Shardboard"),
        (shutil.rmtree, r"is no folder"),
    ],
)
async def test_what_is_broken_is_refused_by_name(
    tmp_path: Path, whole: Path, break_: Callable[[Path], None], problem: str
) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(whole, folder)
    await check_backup(folder)
    break_(folder)
    with pytest.raises(OperatorError, match=problem):
        await check_backup(folder)


async def test_a_backup_of_another_schema_is_refused_before_anything_is_closed(
    played: LocalCluster, fleet: Fleet, kept: Path
) -> None:
    await wipe(played)
    async with connected(played.shards[2].direct_url) as connection:
        await connection.execute("update alembic_version set version_num = '0001'")
        try:
            with pytest.raises(OperatorError, match=r"and shard shard3 has 0001\. Migrate empty shards with"):
                await restore(fleet, kept)
        finally:
            await connection.execute("update alembic_version set version_num = $1", read_manifest(kept).schema_revision)
    assert (await held(played), await states(played)) == ([[], [], []], {"owned"})


async def test_rows_that_are_not_those_of_the_backup_are_not_committed(
    played: LocalCluster, fleet: Fleet, kept: Path
) -> None:
    """Files that are as they were written, and a manifest that says otherwise of them: somebody's hand was in it."""
    manifest = json.loads((kept / MANIFEST).read_text())["backup"]
    await wipe(played)
    file = next(each for each in manifest["shards"][3]["files"] if each["table"] == "game_sessions")
    file["sums"]["score"] += 1
    (kept / MANIFEST).write_bytes(encode(msgspec.convert(manifest, Manifest)))
    with pytest.raises(OperatorError, match=r"Shard shard4 would hold \d+ rows of game_sessions"):
        await restore(fleet, kept)
    async with connected(played.shards[3].direct_url) as connection:
        assert await connection.fetchval("select count(*) from game_sessions") == 0
    # Nobody plays on the half of it.
    assert await states(played) == {"frozen"}
