import Testing

@testable import prunec

@Suite("Numbers and names as people read them")
struct WordingTests {
  @Test("Thousands are set apart")
  func counts() {
    #expect(Wording.count(0) == "0")
    #expect(Wording.count(999) == "999")
    #expect(Wording.count(1000) == "1,000")
    #expect(Wording.count(-1_234_567) == "-1,234,567")
    #expect(Wording.plural(1, "group") == "1 group")
    #expect(Wording.plural(2000, "group") == "2,000 groups")
    #expect(Wording.plural(2, "axis", "axes") == "2 axes")
  }

  @Test("Sizes have three digits and a unit, and never a thousand of one")
  func sizes() {
    #expect(Wording.bytes(999) == "999 B")
    #expect(Wording.bytes(1000) == "1.00 kB")
    #expect(Wording.bytes(999_499) == "999 kB")
    #expect(Wording.bytes(999_500) == "1.00 MB")
    #expect(Wording.bytes(25_600_000) == "25.6 MB")
    #expect(Wording.operations(999_999, 5) == ["999,999", "5"])
    #expect(Wording.operations(4.09e9, 0.354e9) == ["4.09 G", "0.35 G"])
    #expect(Wording.operations(.infinity) == ["too many"])
  }

  @Test("What is not quite all is never said to be all")
  func percents() {
    #expect(Wording.percent(0.973) == "97.3 %")
    #expect(Wording.percent(1) == "100.0 %")
    #expect(Wording.percent(0.99999) == "> 99.9 %")
    #expect(Wording.percent(0.00001) == "< 0.1 %")
    #expect(Wording.percent(0) == "0.0 %")
    #expect(Wording.percent(.nan) == "-")
    #expect(Wording.change(200, 100) == "-50.0 %")
    #expect(Wording.change(100, 100) == "unchanged")
    #expect(Wording.change(0, 100) == "-")
  }

  @Test("Names from files cannot move the cursor or break the line")
  func names() {
    #expect(Wording.name("größe") == "größe")
    #expect(Wording.name("a\u{1B}[2Jb\nc") == "a\\u{1b}[2Jb\\u{a}c")
  }

  @Test("Columns are aligned, without blanks at the ends")
  func tables() {
    var table = TextTable([.left, .right, .left])
    table.add(["a", "1", "x"])
    table.add(["long", "1,000", ""])
    #expect(table.lines == ["a         1  x", "long  1,000"])
    #expect(wrapped("one two three", width: 7) == ["one two", "three"])
  }

  @Test("JSON keeps the order of members, and has no infinities")
  func json() {
    let value = Json.object([
      ("b", .array([.integer(1), .null])), ("a", .number(.infinity)), ("c", .number(0.5)), ("d", .text("\"x\"\n")),
    ])
    #expect(value.text() == "{\n  \"b\": [1, null],\n  \"a\": null,\n  \"c\": 0.5,\n  \"d\": \"\\\"x\\\"\\n\"\n}")
  }

  @Test("Words are put in quotes where a shell would take them apart")
  func quotes() {
    #expect(quoted("a/b.onnx") == "a/b.onnx")
    #expect(quoted("a b's") == "'a b'\\''s'")
    #expect(quoted("") == "''")
  }
}
