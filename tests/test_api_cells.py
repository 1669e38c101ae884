def test_every_cell_describes_itself(client):
    cells = {cell["id"]: cell for cell in client.get("/api/cells").json()["cells"]}
    assert {"elman", "gru", "lstm", "peephole"} <= set(cells)
    lstm = cells["lstm"]
    assert lstm["states"] == ["h", "c"] and lstm["reference"] == "torch.nn.LSTM"
    assert {signal["id"] for signal in lstm["signals"]} == set("figoch")
    for cell in cells.values():
        for signal in cell["signals"]:
            assert signal["role"] in ("gate", "candidate", "state")
            assert {"id", "range", "title", "course_title", "purpose", "reads", "equation", "road"} <= set(signal)
