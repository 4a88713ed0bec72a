"""Views: layers nearest first, each at a change number."""

from enhanced_memory.daemon.store.views import NOW, Layer, View

THREE = View((Layer(3), Layer(2, 50), Layer(1, 20)), ("top", "middle", "ground"))


def test_a_view_is_of_now_only_if_every_layer_is() -> None:
    assert View((Layer(1),), ("ground",)).now
    assert View().now
    assert not THREE.now


def test_a_view_until_a_change_never_sees_later_than_it_did() -> None:
    assert [layer.at for layer in THREE.until(30).layers] == [30, 30, 20]
    assert [layer.at for layer in THREE.until(NOW).layers] == [NOW, 50, 20]
    assert THREE.until(30).until(40) == THREE.until(30)
    assert THREE.until(30).names == THREE.names


def test_the_nearer_layers_are_told_as_json() -> None:
    assert [THREE.nearer(depth) for depth, _ in THREE] == ["[]", f"[[3,{NOW}]]", f"[[3,{NOW}],[2,50]]"]


def test_a_layer_is_named_by_its_space() -> None:
    assert [THREE.name_of(space) for space in (3, 1, 9)] == ["top", "ground", ""]
