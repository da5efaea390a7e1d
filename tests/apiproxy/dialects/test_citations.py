from apiproxy.dialects.citations import Piece, url_citations

SOURCE = {"web": {"uri": "https://a.example", "title": "A"}}


def cited(pieces, *segments, chunks=(SOURCE,)):
    metadata = {
        "groundingChunks": list(chunks),
        "groundingSupports": [
            {"segment": segment, "groundingChunkIndices": [0]} for segment in segments
        ],
    }
    return [
        (found["url_citation"]["start_index"], found["url_citation"]["end_index"])
        for found in url_citations(metadata, pieces)
    ]


def test_bytes_become_characters_across_pieces():
    pieces = [Piece("é", True), Piece("日本", True), Piece("x😀y", True)]
    assert cited(pieces, {"startIndex": 2, "endIndex": 8}) == [(1, 3)]
    assert cited(pieces, {"startIndex": 9, "endIndex": 13}) == [(4, 5)]
    assert cited(pieces, {"startIndex": 0, "endIndex": 99}) == [(0, 6)]


def test_an_offset_inside_a_character_is_its_start():
    assert cited([Piece("日", True)], {"startIndex": 1, "endIndex": 2}) == [(0, 0)]


def test_what_the_model_did_not_write_is_skipped_over():
    pieces = [Piece("ab", True), Piece("![image](data:…)", False), Piece("cd", True)]
    content = "".join(piece.text for piece in pieces)
    [(start, end)] = cited(pieces, {"startIndex": 3, "endIndex": 4})
    assert content[start:end] == "d"


def test_offsets_count_from_the_part_they_name():
    pieces = [Piece("abc", True, 0), Piece("dé", True, 2)]
    assert cited(pieces, {"partIndex": 2, "startIndex": 1, "endIndex": 3}) == [(4, 5)]


def test_sources_without_places_stand_for_the_whole():
    assert cited([Piece("abc", True)]) == [(0, 3)]


def test_metadata_of_another_shape_gives_nothing():
    pieces = [Piece("abc", True)]
    for metadata in (None, 5, {}, {"groundingChunks": 5}, {"groundingChunks": [5, {"web": 5}]}):
        assert url_citations(metadata, pieces) == []
    broken = {"groundingChunks": [SOURCE], "groundingSupports": [5, {}, {"segment": 5}]}
    assert len(url_citations(broken, pieces)) == 1
