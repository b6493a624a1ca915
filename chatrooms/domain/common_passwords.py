"""Passwords of eight characters and more that guessers try first, case-folded."""

from typing import Final

_WORDS = """
00000000 01012000 01234567 012345678 0123456789 0987654321 10203040 102030405060 11111111
111111111 1111111111 11112222 11223344 1122334455 112233445566 12121212 123123123 1231231234
12312312 12341234 123412345 12344321 1234512345 12345432 123454321 12345678 123456781
1234567887654321 123456789 1234567890 12345678900 12345678901 123456789012 1234567890123
1234567891 12345678910 1234567899 123456789a 123456789q 1234567a 1234567b 12345678a 12345678q
12345qwert 1234abcd 1234qwer 1234rewq 123abc123 123qwe123 123qweasd 123qweasdzxc 13131313 13243546
13579246 1357924680 135792468 142536475869 14253647 14725836 147258369 147852369 159357258
15935728 159753456 18273645 19216811 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc
1qazxsw2 1qazxsw23edc 20202020 22222222 23232323 23456789 24681012 25252525 31415926 314159265
33333333 36925814 36987412 44444444 45454545 45645645 456789123 55555555 5555555555 55667788
66666666 69696969 76543210 77777777 7777777777 78945612 789456123 7894561230 87654321 876543210
88888888 8888888888 963852741 96385274 98765432 987654321 9876543210 99999999 999999999
9999999999 a1234567 a12345678 a123456789 a1b2c3d4 a1b2c3d4e5 aa123456 aaaaaaaa aaaaaaaaaa aaaa1111
aaaabbbb abababab abc12345 abc123456 abc123abc abcabcabc abcd1234 abcd12345 abcdabcd abcdefgh
abcdefghi abcdefghij abcdefg1 abcdef12 access14 adgjmptw admin123 admin1234 admin12345 admin123456
administrator adminadmin adminpass alexander alexandra alexandre alejandra alejandro anderson
angelina anything apollo13 aquarius arsenal1 asd12345 asd123456 asdasdasd asdf1234 asdfasdf
asdfghjk asdfghjkl asdfjkl; asdfqwer asdqwe123 assassin azertyui azertyuiop babygirl babygirl1
backspace barcelona baseball baseball1 basketball batman123 beautiful benjamin blink182
blessing bigdaddy billybob birthday bismillah blahblah bluebird bollocks booboo12 brooklyn
bubbles1 budlight bullshit business butterfly caroline carolina cassandra catherine
catdog12 champion changeit changeme changeme1 changeme123 charlie1 charlotte cheesecake chelsea1
chicken1 chocolate chouchou chris123 christian christina christine christmas cocacola
coffee123 colorado computer computer1 concrete consumer corvette courtney cowboys1 creative
crystal1 darkness darkside database december default1 defender diamond1 dinosaur discover dolphin1
dolphins download dragon12 dragon123 dragonball einstein electric elephant elizabeth
enterprise everything explorer falcons1 february ferrari1 fernando ficken123 firebird fireball
fishing1 flamingo florence flowers1 football football1 football123 forever1 formula1 francesca
francis1 frankie1 freedom1 friends1 friendship fuckyou1 fuckyou123 fuckyou2 gabriel1 gabriela
garfield gateway1 geronimo giovanni godbless godzilla goldfish google123 gordon24 graduate
grandma1 greatest greenday guest123 guinness hallo123 hannah123 happiness happy123 hardcore
harley01 helloall hello123 hello1234 hello12345 hellohello hellokitty hercules homepage
hunter123 hunter12 iceman12 icecream iloveyou iloveyou1 iloveyou12 iloveyou123 iloveyou2 iloveu123
imsosexy infinity internet internet1 isabella italia90 jackass1 jackson5 jamesbond jasmine1
jeffrey1 jennifer jennifer1 jessica1 jesus123 jesuschrist johncena johnjohn jonathan jordan23
jordan123 justin123 kathleen katherine kawasaki kimberly kingkong kristina lakers24
lalalala lasvegas lastfm123 lawrence leonardo letmein1 letmein12 letmein123 letmeinnow
liverpool liverpool1 logitech lollipop london12 loveforever lovelove loveme123 loverboy lovers12
loveyou1 loveyou2 lucky123 madison1 magdalena manchester marcus12 margaret marie123 marijuana
marlboro marseille martinez master12 master123 masterkey matthew1 maverick maxwell1 mechanic
mercedes merlin12 metallic metallica michael1 michael123 michaela michelle michigan microsoft
midnight minecraft mitchell monkey12 monkey123 monster1 montana1 moonlight morrison mother123
mountain mustang1 mynameis mypassword mypass123 mypassw0rd naruto123 nathalie nathaniel
national natasha1 newpassword newyork1 nicholas nicholas1 nicole12 nintendo nirvana1 nopassword
november null1234 october1 operator p4ssw0rd p@$$w0rd p@ssw0rd p@ssword p@ssw0rd1 p@ssw0rd123
pa$$w0rd pa$$word paradise parola123 parolamea pass1234 pass12345 passion1 passpass passport
passw0rd passw0rd1 passw0rd123 password password! password. password0 password00 password01
password02 password1 password1! password10 password11 password12 password12! password123
password123! password1234 password12345 password13 password2 password21 password22 password3
password4 password5 password69 password7 password8 password9 password99 passwords passwort
passwort1 patricia patrick1 patriots penelope personal peterpan phoenix1 pingpong pleasework
pokemon1 pokemon123 politics porsche1 portland porsche911 positive power123 precious princesa
princess princess1 princess123 princesse professor punisher purple12 q1w2e3r4 q1w2e3r4t5
q1w2e3r4t5y6 qazwsx12 qazwsx123 qazwsxedc qazwsxedcrfv qazxswedc qqqqqqqq qqww1122 qwaszx12
qwe12345 qwe123456 qwe123qwe qweasdzx qweasdzxc qweqweqwe qwer1234 qwerasdf qwerasdfzxcv qwerqwer
qwert123 qwert1234 qwert12345 qwerty01 qwerty1! qwerty11 qwerty12 qwerty123 qwerty1234
qwerty12345 qwerty123456 qwerty321 qwerty69 qwerty78 qwerty789 qwertyqwerty qwertyui qwertyuio
qwertyuiop qwertyuiop123 qwertyuiop[] qwertz123 qwertzui qwertzuiop rainbow1 rammstein rangers1
raspberry rebecca1 redskins reddevil remember richard1 ricardo1 rockstar rockyou1 ronaldo7
ronaldo9 roosevelt roxanne1 russell1 rush2112 sagitario samantha samantha1 samsung1 samsung123
sandiego santiago sapphire saturday scarface scooter1 scorpion secret12 secret123 security
sebastian september serenity services shadow12 shadow123 shopping simpsons slipknot
snickers snowball snowflake soccer12 socrates softball something southpark spartak1 spartan1
spiderman spiderman1 spitfire spongebob srinivas standard stargate starcraft starstar startrek
starwars starwars1 steelers stephanie sterling sthgrtst strawberry student1 sunflower sunshine
sunshine1 sunshine123 superman superman1 superman123 supernova superstar support1 surfing1
swordfish sylvester system32 system123 target123 taylor123 teacher1 techno12 temp1234 temporary
teresa123 test1234 test12345 test123456 testing1 testing123 testtest thailand thebeach
thebest1 thuglife thunder1 thursday tiffany1 tiger123 tigger123 timberland tinkerbell titanic1
together tomorrow toor1234 topsecret toyota123 training transfer trinity1 trinidad trouble1
trustno1 trustnoone twilight tyler123 undertaker unicorn1 universe unknown1 user1234 username
vacation valencia valentin valentina valentine vampire1 vanessa1 vendetta veronica victoria
victoria1 vincent1 virginia volcom12 volkswagen wasswort webmaster welcome! welcome01 welcome1
welcome12 welcome123 welcome2 westlife westside whatever whatever1 whatsup1 whiskey1 william1
williams windows1 windows7 wireless wolfgang woodland wordpass work1234 wrestling xbox360x
xxxxxxxx xxxxxxxxxx yankees1 yamaha12 yourmom1 youtube1 z1x2c3v4 zaq12wsx zaq1xsw2 zaq1zaq1
zaqwsx12 zaqxswcde zaxscdvf zeppelin zinedine zxasqw12 zxc12345 zxcvbnm1 zxcvbnm123 zxcvbnm,
zxcvbnm,./ zxczxczxc zxcvzxcv zzzzzzzz zxcvasdf zxcvbnml
chatrooms chatroom1 chatroom123 correcthorsebatterystaple
"""

COMMON_PASSWORDS: Final = frozenset(_WORDS.split())
